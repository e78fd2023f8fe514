"""ComfyUI's HTTP API, its WebSocket and its messages."""
