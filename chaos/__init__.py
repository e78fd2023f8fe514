"""What a worker has to stand: thousands of mixed jobs, senseless requests, and every fault with work in flight."""
