"""What a worker should report to an autoscaler that nobody outside knows: the choice with the smallest regret."""
