"""Storage of outputs: this worker, S3 buckets, and presigned URLs, behind one interface."""
