"""The backend for a worker that is started here, as a child process."""
