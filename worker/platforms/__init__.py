"""The platforms that rent GPUs: the interface, the registry, and one folder each, which alone imports its SDK."""
