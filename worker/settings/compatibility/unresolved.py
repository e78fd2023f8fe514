"""Finds placeholders of RunPod's secrets that the platform did not replace."""

from __future__ import annotations

import re
from collections.abc import Mapping

from worker.errors import StartupError

PLACEHOLDER = re.compile(r"\{\{\s*RUNPOD_SECRET_([^\s{}]+)\s*\}\}")


def check_secrets(environ: Mapping[str, str]) -> None:
    """Raise StartupError if the value of a variable still contains a placeholder. It names each variable and secret."""
    unresolved = [(name, found[1]) for name, value in environ.items() if (found := PLACEHOLDER.search(value))]
    if unresolved:
        named = ", ".join(f"{variable} (secret {secret!r})" for variable, secret in sorted(unresolved))
        raise StartupError(
            f"RunPod did not replace the placeholder of a secret in {named}: create the secret of this name in its "
            "console, spell the placeholder as {{ RUNPOD_SECRET_name }}, or set the variable to the value itself"
        )
