"""The command `journal` and its own."""
