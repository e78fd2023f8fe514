"""The list of all kinds of storage."""

from __future__ import annotations

from worker.storage import presigned, s3

KINDS = (
    s3.KIND,
    presigned.KIND,
)
"""All kinds. To add one, write its module and add a line here.

Outputs that are requested by URL go to the first kind that the operator has configured."""
