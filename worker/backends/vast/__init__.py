"""The backend for an endpoint of Vast."""
