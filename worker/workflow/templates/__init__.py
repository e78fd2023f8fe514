"""Templates: workflows with named parameters."""
