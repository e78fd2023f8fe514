"""A ComfyUI without a GPU: the same HTTP and WebSocket protocol, image nodes for real, everything else simulated."""

COMFYUI_VERSION = "0.33.0"
"""The ComfyUI version whose protocol this engine speaks (`reference`: recorded from that version)."""
STRICT_OPTION = "--strict"
"""Among the arguments that it says it was started with, where it takes no model for present that isn't there."""
