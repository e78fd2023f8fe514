"""A load-balancing endpoint: health checks of workers, and the choice of one for each request."""
