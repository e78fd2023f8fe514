"""The sandbox around an engine: what it may reach is decided here, and a small launcher applies it."""
