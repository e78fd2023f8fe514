"""The process of a ComfyUI that the worker starts: its command, folders, GPU and supervisor."""
