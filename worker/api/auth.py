"""Who asks: a bearer of one of the operator's tokens, or, where there are none, whoever reaches the gateway."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from time import monotonic

from worker.errors import NotFound, RateLimited, StartupError, Unauthorized
from worker.platforms.base import DIRECT_TRAITS, Authenticator, Traits
from worker.settings import ServerSettings

LOCAL = "local"
NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
SHORTEST_TOKEN = 16
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Auth:
    """`tokens` by the name of who has each: jobs belong to that name. `per_minute` 0 is no limit."""

    tokens: Mapping[str, bytes]
    per_minute: int = 0
    metrics_token: bytes = b""
    _buckets: dict[str, TokenBucket] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: ServerSettings, traits: Traits = DIRECT_TRAITS) -> Auth:
        """Raises StartupError where the tokens can't be read, or where strangers could reach a gateway without any."""
        tokens = read_tokens(settings.tokens.get_secret_value())
        strangers = traits.authenticates is Authenticator.WORKER and not loopback(settings.host)
        if strangers and not tokens:
            raise StartupError(f"refusing to listen on {settings.host} without WORKER_TOKENS: anybody could post jobs")
        return cls(
            tokens,
            settings.rate_limit,
            read_metrics_token(settings.metrics_token.get_secret_value(), tokens),
        )

    def principal(self, authorization: str) -> str | None:
        """The name that an `Authorization` header proves; None where it proves nothing."""
        if not self.tokens:
            return LOCAL
        given = bearer(authorization)
        # All are compared, whatever was found: the time tells nothing.
        found = [name for name, token in self.tokens.items() if secrets.compare_digest(token, given)]
        return found[0] if found else None

    def authenticate(self, authorization: str) -> str:
        """The principal. Raises Unauthorized."""
        principal = self.principal(authorization)
        if principal is None:
            raise Unauthorized("a token is needed: Authorization: Bearer …")
        return principal

    def check_scraper(self, authorization: str, *, from_here: bool) -> None:
        """Let a request for the metrics through. `from_here`: it comes from a process of this machine.

        The token is not one of the callers': the metrics are about all of them. Raises Unauthorized, NotFound.
        """
        if self.metrics_token:
            if not secrets.compare_digest(self.metrics_token, bearer(authorization)):
                raise Unauthorized("WORKER_METRICS_TOKEN is needed: Authorization: Bearer …")
        elif not from_here:
            raise NotFound("without WORKER_METRICS_TOKEN the metrics are for this machine only")

    def admit(self, authorization: str) -> str:
        """The principal of a request that asks for work. Raises Unauthorized, RateLimited."""
        principal = self.authenticate(authorization)
        self.count_request(principal)
        return principal

    def count_request(self, principal: str) -> None:
        """Count a request that asks for work. Raises RateLimited."""
        if self.per_minute:
            bucket = self._buckets.setdefault(principal, TokenBucket(self.per_minute))
            wait_s = bucket.take(monotonic())
            if wait_s:
                raise RateLimited(f"more than {self.per_minute} requests a minute", retry_after_s=wait_s)


@dataclass(slots=True)
class TokenBucket:
    """Holds a minute's worth of requests and fills evenly."""

    per_minute: int
    filled_at: float = 0.0
    left: float = -1.0

    def take(self, now: float) -> float:
        """0 where a request is let through; else the seconds until one would be."""
        rate = self.per_minute / MINUTE_S
        gained = (now - self.filled_at) * rate
        self.left = self.per_minute if self.left < 0 else min(self.per_minute, self.left + gained)
        self.filled_at = now
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left) / rate


def bearer(authorization: str) -> bytes:
    """The token of an `Authorization` header, whatever bytes it has; empty for another scheme."""
    scheme, _, token = authorization.partition(" ")
    return token.strip().encode("utf-8", "surrogateescape") if scheme.lower() == "bearer" else b""


def read_tokens(text: str) -> dict[str, bytes]:
    """`name=token` pairs between commas. Raises StartupError; never says a token."""
    tokens: dict[str, bytes] = {}
    for number, pair in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, separator, token = pair.partition("=")
        if not separator or not NAME.fullmatch(name):
            raise StartupError(f"WORKER_TOKENS: pair {number} is not name=token")
        if name in tokens or len(token) < SHORTEST_TOKEN:
            cure = "is there twice" if name in tokens else f"has a token of fewer than {SHORTEST_TOKEN} characters"
            raise StartupError(f"WORKER_TOKENS: {name!r} {cure}")
        tokens[name] = token.encode()
    return tokens


def read_metrics_token(text: str, tokens: Mapping[str, bytes]) -> bytes:
    """Raises StartupError for a token that is too short, or a caller's."""
    token = text.strip().encode()
    if token and len(token) < SHORTEST_TOKEN:
        raise StartupError(f"WORKER_METRICS_TOKEN has fewer than {SHORTEST_TOKEN} characters")
    if token in tokens.values():
        raise StartupError("WORKER_METRICS_TOKEN has to differ from every token of WORKER_TOKENS")
    return token


def loopback(host: str) -> bool:
    """True where only this machine can reach the address. A name other than localhost may mean anything."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
