"""The health of an engine: what it is observed to do, and what happens when it makes no progress."""
