"""The HTTP interface of the worker: routes, authentication, dialects and error responses."""
