"""Rules that reproduce the browser scripts of node packs: one module for each pack."""
