"""An engine's folders, as its node classes see them."""
