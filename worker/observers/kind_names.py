"""Names of kinds of jobs that tell nothing about the jobs. Jobs of one kind need the same models."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Collection
from pathlib import Path

from worker.load.node_work import JobWork

log = logging.getLogger(__name__)

KEY_FILE = "arrivals.key"
"""Name of the file in the state folder."""
KEY_BYTES = 32
NAME_BYTES = 4
"""Bytes of a hash in a name. Two of 1,000 kinds have the same name with a probability of one in 9,000."""


class KindNames:
    """The names of the kinds of one state folder.

    A job of a template in `public` has the template's name. The name of any other is a hash of its model files with a
    key, so that no one can find out the files by hashing well-known names. A job without models has an empty name.
    """

    def __init__(self, key: bytes, public: Collection[str]) -> None:
        self._key = key
        self._public = public

    def name(self, template: str | None, work: JobWork) -> str:
        """Return the name of the kind of a job."""
        files = sorted({file for node in work.nodes for file in (*node.reads, *node.models)})
        if not files:
            return ""
        if template in self._public:
            return template or ""
        digest = hmac.digest(self._key, "\n".join(files).encode(), hashlib.sha256)
        return f"k-{digest[:NAME_BYTES].hex()}"


def kind_key(state: Path) -> bytes:
    """Return the key of a state folder, and draw it if there is none. Blocks.

    If it cannot be stored, it lasts as long as this process, so that the kinds have other names after a restart.
    """
    path = state / KEY_FILE
    try:
        if path.is_file() and len(key := path.read_bytes()) == KEY_BYTES:
            return key
        new = path.with_name(f"{KEY_FILE}.new")
        new.unlink(missing_ok=True)
        key = secrets.token_bytes(KEY_BYTES)
        with open(new, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(key)
        new.replace(path)
    except OSError as error:
        log.warning(
            "%s cannot be stored, so the names of kinds in the arrivals log change with a restart: %s", path, error
        )
        return secrets.token_bytes(KEY_BYTES)
    return key
