"""What the workflows in `.github` run besides `make` and `comfy-worker`, with the standard library alone."""
