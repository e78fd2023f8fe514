"""Values that variables of worker-comfyui imply for settings of this worker. The worker's own variables win."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.errors import StartupError
from worker.settings.compatibility.bucket_url import bucket_in, region_in

LOCAL_API = {"host": "0.0.0.0", "port": 8000}  # noqa: S104 - the worker still needs tokens there
BUCKET_KEY = "{prefix}/{month}/{id}/{short_name}"
"""Pattern of the keys that RunPod's SDK gives to uploads, such as `11-26/JOB/1a2b3c4d.png`."""
BUCKET_URL_LIFE_S = 7 * 86400
NO_BUCKET = (
    "BUCKET_ENDPOINT_URL does not name the bucket: append it, as in https://host/bucket, or set WORKER_S3_BUCKET"
)


def implied_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of settings, by flat name, that worker-comfyui's variables imply.

    `values` has the settings that were set, by flat name, which win over the returned ones, except that BUCKET_* stay
    together. Raises StartupError for a bucket that cannot be used.
    """
    implied = dict(LOCAL_API) if values.get("serve_api_locally") else {}
    return implied | (_bucket(values) if uses_bucket_url(values) else {}) | _set_values(values)


def _set_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that were set, without keys of another bucket than that of BUCKET_ENDPOINT_URL."""
    own_keys = uses_bucket_url(values) and "bucket_access_key_id" in values
    other_keys = {"s3_access_key_id", "s3_secret_access_key", "s3_session_token"} if own_keys else set()
    return {name: value for name, value in values.items() if name not in other_keys}


def uses_bucket_url(values: Mapping[str, Any]) -> bool:
    """Return whether outputs go to the bucket of BUCKET_ENDPOINT_URL, and not to another one of WORKER_S3_*."""
    url, bucket = values.get("bucket_endpoint"), values.get("s3_bucket")
    return bool(url) and not values.get("s3_endpoint") and (not bucket or bucket_in(str(url)) in ("", bucket))


def _bucket(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the bucket of BUCKET_ENDPOINT_URL. Raises StartupError."""
    url = str(values["bucket_endpoint"])
    bucket = values.get("s3_bucket") or bucket_in(url)
    if not bucket:
        raise StartupError(NO_BUCKET)
    names = {"bucket_access_key_id": "BUCKET_ACCESS_KEY_ID", "bucket_secret_access_key": "BUCKET_SECRET_ACCESS_KEY"}
    missing = [variable for name, variable in names.items() if name not in values]
    if len(missing) == 1:
        raise StartupError(f"{missing[0]} is not set, and the other key of the bucket is: set both or none")
    keys = {
        "s3_access_key_id": values["bucket_access_key_id"].get_secret_value(),
        "s3_secret_access_key": values["bucket_secret_access_key"],
    }
    return {
        "s3_bucket": bucket,
        "s3_endpoint": url,
        "s3_region": region_in(url),
        "s3_key": BUCKET_KEY,
        "s3_url_life_s": BUCKET_URL_LIFE_S,
        **({} if missing else keys),
    }
