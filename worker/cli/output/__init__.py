"""What the commands print and save."""
