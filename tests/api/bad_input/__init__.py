"""Requests that no client should send, and none may be answered with a 5xx."""
