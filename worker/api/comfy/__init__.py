"""ComfyUI's own HTTP and WebSocket API in front of the worker: each prompt is a job of its caller."""
