"""The environment of this process. No other module reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ


def set_missing_variables(defaults: Mapping[str, str]) -> None:
    """Set each of these variables that has no value, or an empty one, for a library that reads the environment."""
    os.environ.update({name: value for name, value in defaults.items() if not os.environ.get(name)})
