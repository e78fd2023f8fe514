"""All that knows ComfyUI: its frames, its HTTP routes, one run followed to its end, and the engine without a GPU."""
