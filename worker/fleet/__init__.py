"""A fleet from a file: what an account at Vast holds, what it should hold, and the steps between."""
