"""The environment of this process, which no other module reads."""

from __future__ import annotations

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """Return the process's environment, to pass it to another process or to a platform."""
    return os.environ


def set_missing_variables(defaults: Mapping[str, str]) -> None:
    """Set the variables that are missing, for a library that reads the environment directly."""
    os.environ.update({name: value for name, value in defaults.items() if not os.environ.get(name)})
