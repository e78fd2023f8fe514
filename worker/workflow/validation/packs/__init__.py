"""What single classes check themselves, and what packs change in a prompt before ComfyUI validates it."""
