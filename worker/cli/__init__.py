"""The command line: one small file per command, each imported only when it is called."""

from worker.cli.root import main

__all__ = ["main"]
