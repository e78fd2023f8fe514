"""Settings and environment variables of the handlers of a team's app."""
