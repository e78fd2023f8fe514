"""The endpoint of a bucket as people write it: the bucket in its path or its host, a slash at its end, no scheme."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

SCHEMES = ("http://", "https://")
SERVICES = frozenset({"minio", "objects", "s3", "storage"})
"""First labels of hosts that are services: a bucket of such a name is not meant by them."""

DOMAIN = re.compile(r"\.[a-z][a-z0-9-]*(:[0-9]+)?$", re.ASCII | re.IGNORECASE)
"""The end of a host that has a domain: no address, and not a name of one part."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server's URL without the bucket, and whether the bucket is a part of the host (`bucket.host`) or the path."""

    url: str
    virtual: bool = False

    @classmethod
    def of(cls, url: str, bucket: str) -> Endpoint:
        """Read `https://host`, `https://host/bucket` and `https://bucket.host`, any of them with a port or a slash.

        The host that is asked is the one that was written in each case.
        """
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        if path.rpartition("/")[2] == bucket:
            path = path.removesuffix(f"/{bucket}")
        rest = parts.netloc.removeprefix(f"{bucket}.")
        named = rest != parts.netloc and bucket not in SERVICES
        virtual = named and not path and DOMAIN.search(rest) is not None
        return cls(urlunsplit((parts.scheme, rest if virtual else parts.netloc, path, "", "")), virtual)

    @property
    def style(self) -> str:
        """botocore's word for where the bucket is named."""
        return "virtual" if self.virtual else "path"


def scheme_problem(url: str) -> str | None:
    """Return what is wrong with an endpoint that names no scheme, None for any other."""
    if not url or url.lower().startswith(SCHEMES) or "://" in url:
        return None
    return f"{url!r} has no scheme: write https://{url.lstrip('/')}"
