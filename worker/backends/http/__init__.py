"""The backend for a worker, or another proxy, that is reached at a URL."""
