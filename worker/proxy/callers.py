"""The callers of the proxy: who may send jobs, with which keys, how often and how many at a time."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from worker.api.auth import LOCAL, TokenBucket, bearer
from worker.errors import NotFound, RateLimited, Unauthorized
from worker.proxy.config.tables import ProxyConfig

KEY_PREFIX = "cwp_"
"""Start of each key, by which scanners for secrets find keys in files."""
KEY_BYTES = 32
OPEN_JOBS_RETRY_S = 5.0
"""Value of `Retry-After` for a caller that has too many open jobs."""


def new_key() -> str:
    """Return a new key for a caller."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def key_hash(key: bytes) -> str:
    """Return the SHA-256 of a key, as it stands in the configuration.

    A key has 256 random bits, so that a slow hash would not make it safer.
    """
    return hashlib.sha256(key).hexdigest()


@dataclass(frozen=True, slots=True)
class ProxyCaller:
    """A caller that has proved who it is.

    `per_minute` and `max_jobs` are its limits, and 0 means none. `backends` are patterns of those that it may use.
    Without any, it may use all. `expires_at` is in epoch seconds.
    """

    name: str
    per_minute: int = 0
    max_jobs: int = 0
    backends: tuple[str, ...] = ()
    expires_at: float | None = None

    def may_use(self, backend: str) -> bool:
        """Return whether the caller may use the backend with this name."""
        return not self.backends or any(fnmatchcase(backend, pattern) for pattern in self.backends)


@dataclass(frozen=True, slots=True)
class HashedKey:
    """The SHA-256 of a key, and its caller."""

    digest: str = field(repr=False)
    caller: ProxyCaller


@dataclass(frozen=True, slots=True)
class Callers:
    """Checks keys and counts requests.

    Without keys, all programs of this machine are one caller, `local`. The configuration does not allow an address
    that other machines can reach then.
    """

    keys: Sequence[HashedKey] = ()
    local: ProxyCaller = ProxyCaller(LOCAL)
    metrics_digest: str = field(default="", repr=False)
    _buckets: dict[str, TokenBucket] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, config: ProxyConfig) -> Callers:
        """Return the callers of a configuration."""
        server = config.server
        keys = []
        for table in config.callers:
            per_minute = server.requests_per_minute if table.requests_per_minute is None else table.requests_per_minute
            max_jobs = server.max_jobs if table.max_jobs is None else table.max_jobs
            caller = ProxyCaller(table.name, per_minute, max_jobs, table.backends, table.expires_at)
            keys += [HashedKey(digest, caller) for digest in table.key_sha256]
        local = ProxyCaller(LOCAL, server.requests_per_minute, server.max_jobs)
        return cls(tuple(keys), local, server.metrics_key_sha256 or "")

    @property
    def by_name(self) -> Mapping[str, ProxyCaller]:
        """The callers by their names, for jobs of an earlier process."""
        return {caller.name: caller for caller in (self.local, *(key.caller for key in self.keys))}

    def authenticate(self, authorization: str) -> ProxyCaller:
        """Return the caller by its `Authorization` header. Raises Unauthorized for a wrong or expired key."""
        if not self.keys:
            return self.local
        digest = key_hash(bearer(authorization))
        # All keys are compared, so that the time does not depend on the match.
        matches = [key.caller for key in self.keys if secrets.compare_digest(key.digest, digest)]
        if not matches:
            raise Unauthorized("this proxy requires a key of its operator: send `Authorization: Bearer …`")
        [caller] = matches
        if caller.expires_at is not None and time.time() >= caller.expires_at:
            raise Unauthorized(f"the key of {caller.name!r} has expired: ask the operator of the proxy for a new one")
        return caller

    def count_request(self, caller: ProxyCaller) -> None:
        """Count a request that starts a job. Raises RateLimited."""
        if not caller.per_minute:
            return
        bucket = self._buckets.setdefault(caller.name, TokenBucket(caller.per_minute))
        wait_s = bucket.take(time.monotonic())
        if wait_s:
            raise RateLimited(
                f"{caller.name!r} sent more than {caller.per_minute} requests in a minute", retry_after_s=wait_s
            )

    def check_scraper(self, authorization: str, *, is_local: bool) -> None:
        """Raise an error unless the metrics may be sent to the client.

        `is_local` means that a process on this machine sent the request. Raises Unauthorized for a wrong key. Without
        a key for the metrics, raises NotFound for a request from another machine.
        """
        if self.metrics_digest:
            if not secrets.compare_digest(self.metrics_digest, key_hash(bearer(authorization))):
                raise Unauthorized("the metrics of this proxy require their key: send `Authorization: Bearer …`")
        elif not is_local:
            raise NotFound("without metrics_key_sha256 only this machine can read the metrics")


def check_open_jobs(caller: ProxyCaller, open_jobs: int) -> None:
    """Raise RateLimited if a caller with this number of open jobs may not start another one."""
    if caller.max_jobs and open_jobs >= caller.max_jobs:
        raise RateLimited(
            f"{caller.name!r} has {open_jobs} open jobs, and may have {caller.max_jobs} at a time: wait for one to end",
            retry_after_s=OPEN_JOBS_RETRY_S,
        )
