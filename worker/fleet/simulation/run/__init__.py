"""The event loop of the simulation, and what it moves: jobs, workers, the router, reports and the autoscaler."""
