"""The workers that the stand-in starts, each a process that plays a container."""
