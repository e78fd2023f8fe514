"""The fleet file `vast.toml`: its tables, and how it is read."""
