"""A worker's client on the command line: the request, the connection, the job's events."""
