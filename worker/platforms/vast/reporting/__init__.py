"""The worker's reports to Vast's autoscaler."""
