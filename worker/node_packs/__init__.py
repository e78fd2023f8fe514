"""Node packs in `comfyui_nodes.txt`: reads, edits and locks the file, installs the sources and verifies an image."""
