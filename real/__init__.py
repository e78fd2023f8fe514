"""Real jobs on a real ComfyUI with popular node packs: what is delivered, compared with what ComfyUI wrote."""
