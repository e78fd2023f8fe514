"""The embedded engine's node classes, and the values that links carry."""
