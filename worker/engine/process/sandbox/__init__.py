"""The sandbox of an engine. The worker decides what the engine may access, and a small launcher enforces it."""
