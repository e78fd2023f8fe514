"""Reports to Vast's autoscaler."""
