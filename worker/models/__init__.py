"""Model files: which ones a workflow needs, which are present, and downloading the missing ones."""
