"""The bucket and the region in the URL of an S3 server, as users of worker-comfyui write it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SERVICE = re.compile(
    r"(?:(?P<bucket>.+)\.)?"
    r"(?:(?:s3|s3api)(?:[.-][a-z0-9-]+)*\.[a-z0-9-]+\.[a-z]+(?:\.[a-z]{2})?"  # AWS, Backblaze, Wasabi, Scaleway, RunPod
    r"|[a-z0-9-]+\.(?:digitaloceanspaces|linodeobjects|vultrobjects|your-objectstorage)\.com"
    r"|[a-z0-9]{32}(?:\.[a-z]+)?\.r2\.cloudflarestorage\.com"
    r"|storage\.googleapis\.com)"
)
"""Hosts of services that are known to take the bucket as their first part."""
REGION = re.compile(
    r"(?:^|\.)s3[.-](?:dualstack\.)?(?P<s3>(?=[a-z0-9]*[0-9-])[a-z0-9-]+)\.[^.]+\.[a-z]+"
    r"|(?P<spaces>[a-z0-9]+)\.digitaloceanspaces\.com$"
)
"""The region in a host. It has a digit or a hyphen, which the name of a service such as `minio` has not."""


def bucket_in(url: str) -> str:
    """Return the bucket in a URL: the last part of its path, or the part of its host before that of a known service.

    The result is empty if the URL names no bucket, or if its host may be any name. A longer path is right as well,
    because requests of the path style only append to it.
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if path:
        return path.rpartition("/")[2]
    match = SERVICE.fullmatch((parts.hostname or "").lower())
    return (match["bucket"] or "") if match else ""


def region_in(url: str) -> str:
    """Return the region in the host of a URL, or an empty string if it has none."""
    match = REGION.search((urlsplit(url).hostname or "").lower())
    return (match["s3"] or match["spaces"]) if match else ""
