"""Paths that stand in a workflow as texts, and links that carry them."""
