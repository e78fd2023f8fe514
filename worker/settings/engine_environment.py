"""The environment of a ComfyUI that the worker starts."""

from __future__ import annotations

import re

from pydantic import SecretStr

from worker.settings.environment import environment
from worker.settings.settings import Settings

PLATFORM_SECRETS = frozenset({"MASTER_TOKEN", "CONTAINER_API_KEY", "VAST_API_KEY", "RUNPOD_API_KEY"})
SECRET_PART = re.compile(
    r"TOKEN(?!IZER)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY"
)
SECRET_WORDS = frozenset({"KEY", "KEYS", "AUTH", "PASS", "PAT", "JWT", "DSN", "COOKIE", "COOKIES", "PGPASSFILE"})
PASSWORD_WORD = re.compile(r"_PWD$")
"""PWD itself is the current folder."""
SECRET_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@"  # a URL with a password
    r"|\b(?:hf|gh[opsu]|github_pat|glpat|sk|pk|rk|r8|xox[abp]|AKIA|ASIA|AIza|whsec|dckr_pat|pypi)[_-]?[A-Za-z0-9_-]{16,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.|-----BEGIN [A-Z ]*PRIVATE KEY"
)
"""Values that are credentials by their form, whatever their variable is called."""


def engine_environment() -> dict[str, str]:
    """Return the process's environment without the secrets of the worker and the platform, and without credentials.

    Node packs are other people's code, and a job can read ComfyUI's environment: what looks like a credential, by the
    variable's name or by the value's form, is passed on only where WORKER_ENGINE_ENV names it. PYTHONSAFEPATH is
    removed too: with it `python main.py` does not find the modules beside main.py.
    """
    secret = {*PLATFORM_SECRETS, "PYTHONSAFEPATH"}
    for name, (_, field, _) in Settings.fields_by_name().items():
        if name == "s3_access_key_id" or isinstance(field.default, SecretStr):
            secret |= {field.metadata["env"], *field.metadata["also"]}
    passed = set(re.split(r"[\s,]+", environment().get("WORKER_ENGINE_ENV", "")))
    return {
        name: value
        for name, value in environment().items()
        if name not in secret and (name in passed or not is_credential(name, value))
    }


def is_credential(name: str, value: str) -> bool:
    """Return whether a variable looks like a credential."""
    upper = name.upper()
    named = SECRET_PART.search(upper) or PASSWORD_WORD.search(upper) or SECRET_WORDS.intersection(upper.split("_"))
    return bool(named or SECRET_VALUE.search(value))
