"""Buckets of clients in the words of other APIs: what they become, and errors that name the client's own fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from worker.dialects.base import parse_model
from worker.errors import Detail, InvalidField
from worker.storage.bucket import S3Target
from worker.storage.s3 import S3Fields

RUNPOD_NAMES = {
    "bucket": "bucketName",
    "access_key_id": "accessId",
    "secret_access_key": "accessSecret",
    "endpoint_url": "endpointUrl",
}
"""Our names of a bucket's fields, and those of RunPod's `s3Config`."""
STOCK_NAMES = {"bucket": "bucket_name"}
"""Those of the section `s3` of Vast's stock template."""


def bucket_target(fields: Mapping[str, Any], names: Mapping[str, str], place: str) -> S3Target:
    """Return the bucket; `fields` have our names, and stand at `place` under `names`. Raises InvalidField."""
    try:
        return parse_model(S3Fields, fields).target()
    except InvalidField as error:
        details = [_renamed(detail, names, place) for detail in error.details]
        summary = "; ".join(detail.message for detail in details[:3])
        raise type(error)(summary, details) from None


def _renamed(detail: Detail, names: Mapping[str, str], place: str) -> Detail:
    ours = detail.input or ""
    theirs = f"{place}.{names.get(ours, ours)}"
    return replace(detail, message=detail.message.replace(repr(ours), repr(theirs), 1), input=theirs)
