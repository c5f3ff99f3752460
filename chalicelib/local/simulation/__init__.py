"""A fleet drawn from a seed that lives through months of a test clock: the soak test of the whole service."""
