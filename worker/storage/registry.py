"""The kinds of storage."""

from __future__ import annotations

from worker.storage import presigned, s3

KINDS = (
    s3.KIND,
    presigned.KIND,
)
"""The registry: a kind is one file and one line here. The first that the operator has set up takes what is asked for by
URL."""
