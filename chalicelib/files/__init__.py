"""Files that are too large for an answer, and the signed links by which they are handed over."""
