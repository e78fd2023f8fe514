"""The routes of handlers, and the ports at which their processes find ComfyUI's API."""
