"""Responses of the synchronous route whose body is an output file, for clients whose `Accept` header prefers one."""
