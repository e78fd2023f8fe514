"""A fleet of workers at Vast that a file describes: the present state, the desired state, and the steps between."""
