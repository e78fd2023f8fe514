"""What can be searched on each platform: its parameters by its own names."""
