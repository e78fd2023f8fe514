"""The demo: its requests, its course and its report."""
