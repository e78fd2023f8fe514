"""What looks like a secret, so that none gets into a file of a repository, a plan or a comment."""

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
"""Letters and digits without a break, as no word or path has them."""
PUBLIC = frozenset(
    field.metadata["env"]
    for _, field, _ in Settings.fields_by_name().values()
    if not isinstance(field.default, SecretStr)
) - {"AWS_ACCESS_KEY_ID"}
"""Settings of the worker that are none, whatever they are called: WORKER_S3_KEY is a pattern."""


def secret_name(name: str) -> bool:
    """Whether what a variable of this name holds is likely to be one."""
    return name not in PUBLIC and NAME.search(name) is not None


def secret_value(text: str) -> bool:
    plain = DIGEST.sub("", text)
    return VALUE.search(plain) is not None or RANDOM.search(plain) is not None


def masked(name: str, text: str) -> str:
    """The text, or `***`."""
    return MASK if (text and secret_name(name)) or secret_value(text) else text
