"""Moves a Modal app to the image of comfy-worker: reads its source without importing it, and writes a new app."""
