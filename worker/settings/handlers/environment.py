"""Environment variables for the processes of handlers."""

from __future__ import annotations

import re

from worker.settings.environment import environment

PASSED_ON = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ"}
    | {"LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"}
)
"""Variables that programs need to work at all."""


def handlers_environment(names: str) -> dict[str, str]:
    """Return the variables of PASSED_ON and of `names`, a list separated by commas, that this process has."""
    wanted = PASSED_ON | set(re.split(r"[\s,]+", names))
    return {name: value for name, value in environment().items() if name in wanted} | {"PYTHONUNBUFFERED": "1"}
