"""The demo: its requests, its run and its tables."""
