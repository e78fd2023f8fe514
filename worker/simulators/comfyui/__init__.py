"""The embedded engine: ComfyUI's HTTP and WebSocket protocol without a GPU.

Image nodes process real pixels. All nodes that need a model are simulated.
"""

COMFYUI_VERSION = "0.33.0"
"""The ComfyUI version whose protocol this engine implements. The recorded sessions are of that version."""
STRICT_OPTION = "--strict"
"""The entry in `argv` of `/system_stats` which says that the engine accepts only model files that exist."""
