"""The content of input files: checks of kind and size before ComfyUI opens them, and their sizes in pixels."""
