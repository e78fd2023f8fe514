"""Requests from browsers and through reverse proxies, from other tools, and malformed ones."""
