"""The node classes that an engine offers."""
