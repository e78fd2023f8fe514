"""Subgraphs of the editor's format, opened in place."""
