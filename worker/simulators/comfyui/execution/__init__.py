"""The embedded engine's queue, and how it runs a prompt."""
