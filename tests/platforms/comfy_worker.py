"""`comfy-worker serve`, the real command, on a free port where none is named. A child process of the tests."""

import os
import sys

from worker.cli import main

if __name__ == "__main__":
    os.environ.setdefault("WORKER_GATEWAY_PORT", "0")
    sys.argv[1:] = ["serve", *sys.argv[1:]]
    main()
