"""Who listens to a job's events: a family of interchangeable listeners."""
