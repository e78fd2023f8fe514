"""The mixed trace: jobs of many shapes on embedded engines whose node times come from a generator."""
