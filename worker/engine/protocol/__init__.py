"""ComfyUI's HTTP routes, WebSocket and frames."""
