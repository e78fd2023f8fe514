"""What the worker remembers of the deaths of its engines, and which jobs it accuses of them."""
