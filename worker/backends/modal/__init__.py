"""The backend for a class of a Modal app."""
