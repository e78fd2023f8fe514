"""The environment of this process. No other module reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ


def set_missing_variables(defaults: Mapping[str, str]) -> None:
    """Set those of these variables that are not set or empty, for a library that reads the environment itself."""
    os.environ.update({name: value for name, value in defaults.items() if not os.environ.get(name)})
