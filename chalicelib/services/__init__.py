"""One module for each thing the system does: load, decide, save."""
