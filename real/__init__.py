"""A suite of jobs for a real ComfyUI with popular node packs. It compares what is delivered with what ComfyUI wrote."""
