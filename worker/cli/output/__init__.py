"""The output of commands: consoles, progress, failures, tables, and saved files."""
