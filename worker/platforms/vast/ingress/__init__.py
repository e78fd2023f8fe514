"""Requests from Vast's router, on their way through the SDK."""
