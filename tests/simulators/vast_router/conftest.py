"""The workers as child processes are those of tests/platforms."""

from tests.platforms.conftest import spawn

__all__ = ["spawn"]
