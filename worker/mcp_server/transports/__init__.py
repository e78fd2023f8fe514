"""The transports of MCP: standard input and output for one user, and streamable HTTP for several callers."""
