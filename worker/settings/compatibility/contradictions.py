"""Finds variables that set the same thing to different values, so that the log can name those without an effect."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from worker.settings.compatibility.worker_comfyui import uses_bucket_url
from worker.settings.engine_environment import is_credential

if typing.TYPE_CHECKING:
    from worker.settings.settings import SettingField

BUCKET_VARIABLES = ("BUCKET_ENDPOINT_URL", "BUCKET_ACCESS_KEY_ID", "BUCKET_SECRET_ACCESS_KEY")
KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")


def contradictions(environ: Mapping[str, str], fields: Mapping[str, SettingField]) -> Iterator[str]:
    """Yield a sentence for each setting whose variables have different values. Secrets are not shown.

    `fields` are the fields of all settings, by flat name.
    """
    for entry in fields.values():
        names = (entry.field.metadata["env"], *entry.field.metadata["also"])
        set_names = [name for name in names if environ.get(name)]
        for other in set_names[1:]:
            used = set_names[0]
            if environ[used].casefold() != environ[other].casefold():
                yield f"{_shown(used, environ, entry)} is used, and {_shown(other, environ, entry)} has no effect"
    yield from _bucket_contradictions(environ)


def _bucket_contradictions(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence if BUCKET_* have no effect, or if they replace other keys."""
    if not environ.get(BUCKET_VARIABLES[0]):
        return
    names = {
        "bucket_endpoint": "BUCKET_ENDPOINT_URL",
        "s3_endpoint": "WORKER_S3_ENDPOINT",
        "s3_bucket": "WORKER_S3_BUCKET",
    }
    also = {"s3_endpoint": "S3_ENDPOINT_URL", "s3_bucket": "S3_BUCKET_NAME"}
    values: dict[str, Any] = {name: environ.get(env) or environ.get(also.get(name, "")) for name, env in names.items()}
    if not uses_bucket_url(values):
        used = "WORKER_S3_ENDPOINT" if values["s3_endpoint"] else "WORKER_S3_BUCKET"
        yield f"{used} is used, and {', '.join(filter(environ.get, BUCKET_VARIABLES))} have no effect"
        return
    replaced = [name for name in KEY_VARIABLES if environ.get(name)]
    if environ.get("BUCKET_ACCESS_KEY_ID") and replaced:
        yield f"BUCKET_ACCESS_KEY_ID is used for the bucket of BUCKET_ENDPOINT_URL, and not {', '.join(replaced)}"


def _shown(name: str, environ: Mapping[str, str], entry: SettingField) -> str:
    """Return a variable with its value, or only its name if the value may be a secret."""
    is_secret = isinstance(entry.field.default, SecretStr) or is_credential(name, environ[name])
    return name if is_secret else f"{name}={environ[name]}"
