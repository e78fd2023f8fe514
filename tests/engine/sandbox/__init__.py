"""The sandbox of the engines."""
