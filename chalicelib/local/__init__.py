"""Running on one machine: the embedded store, the HTTP loop, the demo."""
