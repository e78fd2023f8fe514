"""Scripts that the workflows in `.github` run besides `make` and `comfy-worker`. They use only the standard library."""
