"""The operator's credentials for hosts that require some. Each is sent to its own hosts only."""

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
    """Request headers by host. They are not in the `repr`, so they do not appear in logs."""

    _by_host: tuple[tuple[HostPattern, Mapping[str, str]], ...] = field(default=(), repr=False)

    @classmethod
    def read(cls, text: str) -> Credentials:
        """Parse the JSON object in WORKER_FETCH_AUTH. Raises StartupError, whose message does not contain the text."""
        try:
            hosts = orjson.loads(text) if text else {}
            return cls(tuple((HostPattern.read(host), _headers(entry)) for host, entry in hosts.items()))
        except (orjson.JSONDecodeError, AttributeError, ValueError):
            raise StartupError(f"WORKER_FETCH_AUTH cannot be read: {CURE}") from None

    def headers(self, target: FetchTarget, *, trusted: bool) -> Mapping[str, str]:
        """Return the headers for the host of a URL, or an empty mapping if there are none.

        They are sent over plain http only if the operator opened the host (`trusted`).
        """
        if not (target.encrypted or trusted):
            return {}
        return next((headers for pattern, headers in self._by_host if pattern.matches(target)), {})


def _headers(entry: object) -> Mapping[str, str]:
    """Return the headers of one host from its JSON value: an object, or the text of `Authorization`.

    Raises ValueError.
    """
    headers = {"Authorization": entry} if isinstance(entry, str) else entry
    if not isinstance(headers, dict):
        raise ValueError
    for name, value in headers.items():
        if not (isinstance(name, str) and isinstance(value, str) and HEADER.fullmatch(name) and VALUE.fullmatch(value)):
            raise ValueError
    return headers
