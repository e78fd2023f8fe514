"""The benchmark that measures how fast the worker is: its workflow, the samples for it, and its runs."""
