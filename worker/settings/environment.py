"""The environment of this process, which no other module reads."""

from __future__ import annotations

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """The process's environment, for who has to hand it on; nobody else looks at it."""
    return os.environ


def complete_environment(defaults: Mapping[str, str]) -> None:
    """Set what is missing there: for a library that reads the environment itself, and must see what we see."""
    os.environ.update({name: value for name, value in defaults.items() if not os.environ.get(name)})
