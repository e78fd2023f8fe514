"""The client side of the command line: requests, connections, and the events of a job."""
