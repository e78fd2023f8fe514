"""RunPod Serverless as a platform: queue-based endpoints, without RunPod's SDK, and load-balancing endpoints."""
