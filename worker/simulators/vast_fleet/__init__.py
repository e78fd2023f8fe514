"""A fleet that plays a trace in real time: the local router, worker processes, and an autoscaler's policy."""
