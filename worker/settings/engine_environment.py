"""Environment variables for a ComfyUI that the worker starts."""

from __future__ import annotations

import re

from pydantic import SecretStr

from worker.settings.environment import environment
from worker.settings.settings import Settings

PLATFORM_SECRETS = frozenset(
    {
        "MASTER_TOKEN",
        "CONTAINER_API_KEY",
        "VAST_API_KEY",
        "RUNPOD_API_KEY",
        "RUNPOD_AI_API_KEY",
        "MODAL_IDENTITY_TOKEN",
        "MODAL_TOKEN_ID",
        "MODAL_TOKEN_SECRET",
    }
)
SECRET_PART = re.compile(
    r"TOKEN(?!IZER)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY"
)
SECRET_WORDS = frozenset({"KEY", "KEYS", "AUTH", "PASS", "PAT", "JWT", "DSN", "COOKIE", "COOKIES", "PGPASSFILE"})
PASSWORD_WORD = re.compile(r"_PWD$")
"""Ending of variables with passwords. PWD alone is the current folder."""
SECRET_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@"  # a URL with a password
    r"|\b(?:hf|gh[opsu]|github_pat|glpat|sk|pk|rk|r8|xox[abp]|AKIA|ASIA|AIza|whsec|dckr_pat|pypi)[_-]?[A-Za-z0-9_-]{16,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.|-----BEGIN [A-Z ]*PRIVATE KEY"
)
"""Pattern of values that are credentials, whatever the name of their variable is."""


def engine_environment() -> dict[str, str]:
    """Return the environment of this process without secrets and credentials.

    Node packs are third-party code, and a job can read ComfyUI's environment. Secrets of the worker and the platform
    are never passed on. Other variables that look like credentials, by name or by value, are passed on only if
    WORKER_ENGINE_ENV names them.

    PYTHONSAFEPATH is removed too. With it, `python main.py` would not find the modules beside main.py.
    """
    secret_names = {*PLATFORM_SECRETS, "PYTHONSAFEPATH"}
    for name, entry in Settings.fields_by_name().items():
        # The id of the access key is not a SecretStr, but a credential too.
        if name == "s3_access_key_id" or isinstance(entry.field.default, SecretStr):
            secret_names |= {entry.field.metadata["env"], *entry.field.metadata["also"]}
    allowed_names = set(re.split(r"[\s,]+", environment().get("WORKER_ENGINE_ENV", "")))
    return {
        name: value
        for name, value in environment().items()
        if name not in secret_names and (name in allowed_names or not is_credential(name, value))
    }


def is_credential(name: str, value: str) -> bool:
    """Return whether a variable looks like a credential, by its name or by its value."""
    upper_name = name.upper()
    has_secret_name = (
        SECRET_PART.search(upper_name)
        or PASSWORD_WORD.search(upper_name)
        or SECRET_WORDS.intersection(upper_name.split("_"))
    )
    return bool(has_secret_name or SECRET_VALUE.search(value))
