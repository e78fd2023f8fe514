"""Expansion of subgraphs and group nodes in place of the nodes that use them."""
