"""The embedded engine's HTTP and WebSocket server."""
