"""Buckets of clients in the field names of other APIs. Errors name the fields that the client used."""

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
"""Native names of the fields of a bucket, and those of RunPod's `s3Config`."""
STOCK_NAMES = {"bucket": "bucket_name"}
"""The same for the section `s3` of Vast's stock template."""


def bucket_target(fields: Mapping[str, Any], names: Mapping[str, str], location: str) -> S3Target:
    """Return the bucket that `fields` describe, by their native names. Raises InvalidField.

    `names` maps the native names to those of the client. Errors use these, as fields inside the field `location`.
    """
    try:
        return parse_model(S3Fields, fields).target()
    except InvalidField as error:
        details = [_with_client_name(detail, names, location) for detail in error.details]
        summary = "; ".join(detail.message for detail in details[:3])
        raise type(error)(summary, details) from None


def _with_client_name(detail: Detail, names: Mapping[str, str], location: str) -> Detail:
    """Return a detail with the client's name in place of the native name of its field."""
    native_name = detail.input or ""
    client_name = f"{location}.{names.get(native_name, native_name)}"
    return replace(detail, message=detail.message.replace(repr(native_name), repr(client_name), 1), input=client_name)
