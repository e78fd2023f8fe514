"""The fleet as `vast.toml` defines it."""
