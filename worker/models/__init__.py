"""Model files: which are there, and getting those that are not."""
