"""The platforms that rent GPUs: the interface, the registry, and one folder for each platform that imports its SDK."""
