"""All that is known about workflows, without any I/O: what a prompt is, what a catalog allows, what a job weighs."""
