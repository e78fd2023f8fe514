"""Scripts that the workflows in `.github` run in addition to `make` and `comfy-worker`. They use only the standard library."""
