"""A ComfyUI that answers what none should: other JSON types, halves, pages, nothing."""
