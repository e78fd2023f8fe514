"""What nodes of a real ComfyUI reported and wrote, and the embedded engine's."""
