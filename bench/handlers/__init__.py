"""The overhead of calls of handlers."""
