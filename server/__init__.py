"""The clinic: what it knows, what it may do, its pages."""
