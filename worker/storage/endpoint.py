"""Parsing of S3 endpoints, which may contain the bucket in the path or in the host."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

SCHEMES = ("http://", "https://")
SERVICES = frozenset({"minio", "objects", "s3", "storage"})
"""First labels of hosts that name a service. A bucket with such a name is not recognised in the host."""

DOMAIN = re.compile(r"\.[a-z][a-z0-9-]*(:[0-9]+)?$", re.ASCII | re.IGNORECASE)
"""The end of a host name with a domain. It matches no IP address and no host name of one label."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server's URL without the bucket. `virtual` is True if the bucket is part of the host (`bucket.host`)."""

    url: str
    virtual: bool = False

    @classmethod
    def of(cls, url: str, bucket: str) -> Endpoint:
        """Parse `https://host`, `https://host/bucket` or `https://bucket.host`, with or without port and final slash.

        Requests go to the host in the URL in every case.
        """
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        if path.rpartition("/")[2] == bucket:
            path = path.removesuffix(f"/{bucket}")
        host = parts.netloc.removeprefix(f"{bucket}.")
        has_bucket = host != parts.netloc and bucket not in SERVICES
        virtual = has_bucket and not path and DOMAIN.search(host) is not None
        # botocore puts the bucket in front of the host again.
        return cls(urlunsplit((parts.scheme, host if virtual else parts.netloc, path, "", "")), virtual)

    @property
    def style(self) -> str:
        """Value of botocore's option `addressing_style`: "virtual" (bucket in the host) or "path"."""
        return "virtual" if self.virtual else "path"


def scheme_problem(url: str) -> str | None:
    """Return an error message if an endpoint has no scheme such as `https://`, else None. An empty one is accepted."""
    if not url or url.lower().startswith(SCHEMES) or "://" in url:
        return None
    return f"{url!r} has no scheme: write https://{url.lstrip('/')}"
