"""Sizes of pictures, videos and audio, and what nodes do to them."""
