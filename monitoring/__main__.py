"""`python -m monitoring` prints the dashboard as JSON. `make docs` writes it, and a test compares the file."""

import sys

from monitoring.dashboard import text

if __name__ == "__main__":
    sys.stdout.write(text())
