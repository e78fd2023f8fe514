"""A study: the fleet of a fleet file, simulated over a trace under each policy that its platform may have."""
