"""`comfyui_nodes.txt`: read it, edit it, lock it, lay its sources down, and prove what an image has of it."""
