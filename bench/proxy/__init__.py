"""The overhead of the proxy in front of a worker."""
