"""The HTTP face of the worker: dialects in, dialects out, one place for errors."""
