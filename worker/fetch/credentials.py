"""The operator's credentials for hosts that ask for some: each for its hosts, and told to nobody else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from worker.errors import StartupError
from worker.fetch.policy import HostPattern
from worker.fetch.target import FetchTarget

HEADER = re.compile(r"[A-Za-z0-9-]+")
VALUE = re.compile(r"[\x20-\x7e]+")
CURE = 'write {"host or *.domain": "Bearer ..."} or {"host": {"Header": "value"}}'


@dataclass(frozen=True, slots=True)
class Credentials:
    """Request headers by host. Not in its representation, so in no log."""

    _by_host: tuple[tuple[HostPattern, Mapping[str, str]], ...] = field(default=(), repr=False)

    @classmethod
    def read(cls, text: str) -> Credentials:
        """From a JSON object. Raises StartupError, which doesn't quote it."""
        try:
            hosts = orjson.loads(text) if text else {}
            return cls(tuple((HostPattern.read(host), _headers(given)) for host, given in hosts.items()))
        except (orjson.JSONDecodeError, AttributeError, ValueError):
            raise StartupError(f"WORKER_FETCH_AUTH can't be read: {CURE}") from None

    def headers(self, target: FetchTarget, *, trusted: bool) -> Mapping[str, str]:
        """For this host and no other; unencrypted only to hosts that the operator opened (`trusted`)."""
        if not (target.encrypted or trusted):
            return {}
        return next((headers for pattern, headers in self._by_host if pattern.matches(target)), {})


def _headers(given: object) -> Mapping[str, str]:
    headers = {"Authorization": given} if isinstance(given, str) else given
    if not isinstance(headers, dict):
        raise ValueError
    for name, value in headers.items():
        if not (isinstance(name, str) and isinstance(value, str) and HEADER.fullmatch(name) and VALUE.fullmatch(value)):
            raise ValueError
    return headers
