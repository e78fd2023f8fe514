"""Detects text that looks like a secret, to keep it out of fleet files, plans and comments."""

from __future__ import annotations

import re

from pydantic import SecretStr

from worker.settings import Settings

MASK = "***"
NAME = re.compile(r"(?:KEY|TOKENS?|SECRETS?|PASSWORD|PASSWD|PASS|PAT|CREDENTIALS?|AUTH)$", re.IGNORECASE)
VALUE = re.compile(
    r"hf_[A-Za-z0-9]{16,}|gh[opsu]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|dckr_pat_[\w-]{16,}|whsec_\S{16,}"
    r"|sk-[\w-]{16,}|xox[a-z]-[\w-]{10,}|A[KS]IA[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.|-----BEGIN|Bearer \S{8,}"
    r"|\w+://[^/\s:@]*:[^/\s@]+@"
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
RANDOM = re.compile(r"(?<![\w+/=-])(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[A-Za-z0-9+=]{32,}(?![\w+/=-])")
"""A long run of letters and digits, as in keys but not in words or paths."""
PUBLIC = frozenset(
    field.metadata["env"]
    for _, field, _ in Settings.fields_by_name().values()
    if not isinstance(field.default, SecretStr)
) - {"AWS_ACCESS_KEY_ID"}
"""Settings of the worker that are not secret although their names look so: WORKER_S3_KEY is a pattern of keys."""


def is_secret_name(name: str) -> bool:
    """Return whether a variable of this name is likely to hold a secret."""
    return name not in PUBLIC and NAME.search(name) is not None


def is_secret_value(text: str) -> bool:
    """Return whether the text contains something that looks like a key, a token or a password."""
    without_digests = DIGEST.sub("", text)  # the digest of an image looks like a key
    return VALUE.search(without_digests) is not None or RANDOM.search(without_digests) is not None


def masked(name: str, text: str) -> str:
    """Return the text, or `***` when the name or the text looks like a secret."""
    return MASK if (text and is_secret_name(name)) or is_secret_value(text) else text
