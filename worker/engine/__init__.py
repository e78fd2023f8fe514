"""The engines: ComfyUI's protocol, the process of each ComfyUI, and the distribution and recovery of jobs."""
