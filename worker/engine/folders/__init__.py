"""The folders of an engine that its node classes list."""
