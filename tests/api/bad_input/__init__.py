"""Requests that no client should send. None of them may get a 5xx response."""
