"""The parameters that the search may change on each platform, by the names of the platform."""
