"""The places that a caller's job can go to: a worker at a URL, an endpoint of a platform, or a worker started here."""
