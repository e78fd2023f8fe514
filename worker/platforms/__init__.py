"""Each platform that rents GPUs, one folder each: the only importers of its SDK."""
