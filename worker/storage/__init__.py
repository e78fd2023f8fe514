"""Where outputs go: a family of interchangeable places."""
