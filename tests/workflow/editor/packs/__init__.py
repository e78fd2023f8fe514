"""What scripts of node packs do in the editor, by hand-written files."""
