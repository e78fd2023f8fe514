"""The routes of ComfyUI's API."""
