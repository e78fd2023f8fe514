"""Features of the nodes of a prompt, from which their work is computed."""
