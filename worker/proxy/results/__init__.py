"""The results of jobs, their output files, and the bodies that the proxy makes itself."""
