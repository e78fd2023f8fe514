"""A ComfyUI without a GPU: the same HTTP and WebSocket protocol, image nodes for real, everything else simulated."""

VERSION = "0.1.0"
SPEAKS = "0.33.0"
"""The ComfyUI version whose protocol this engine speaks (`reference`: recorded from that version)."""
