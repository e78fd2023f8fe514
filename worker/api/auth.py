"""Authentication: a bearer of one of the operator's tokens, or any client of the gateway if there are none."""

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
    """Checks tokens and counts requests.

    `tokens` are by the name of the caller, which owns its jobs. `per_minute` is the rate limit, and 0 means no limit.
    """

    tokens: Mapping[str, bytes]
    per_minute: int = 0
    metrics_token: bytes = b""
    _buckets: dict[str, TokenBucket] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: ServerSettings, traits: Traits = DIRECT_TRAITS) -> Auth:
        """Return the authentication for these settings.

        Raises StartupError for invalid tokens, and for a gateway without tokens that other machines can reach.
        """
        tokens = read_tokens(settings.tokens.get_secret_value())
        reachable_by_others = traits.authenticates is Authenticator.WORKER and not is_loopback(settings.host)
        if reachable_by_others and not tokens:
            raise StartupError(
                f"the worker does not listen on {settings.host} without WORKER_TOKENS, because anyone could send jobs: "
                "set WORKER_TOKENS, or WORKER_GATEWAY_HOST=127.0.0.1"
            )
        return cls(
            tokens,
            settings.rate_limit,
            read_metrics_token(settings.metrics_token.get_secret_value(), tokens),
        )

    def principal(self, authorization: str) -> str | None:
        """Return the name of the caller by its `Authorization` header, or None for an invalid token.

        If the operator has set no tokens, every caller is `local`.
        """
        if not self.tokens:
            return LOCAL
        token = bearer(authorization)
        # All tokens are compared, so that the time does not depend on the match.
        names = [name for name, known_token in self.tokens.items() if secrets.compare_digest(known_token, token)]
        return names[0] if names else None

    def authenticate(self, authorization: str) -> str:
        """Return the name of the caller by its `Authorization` header. Raises Unauthorized for an invalid token."""
        principal = self.principal(authorization)
        if principal is None:
            raise Unauthorized("this worker requires a token of its operator: send `Authorization: Bearer …`")
        return principal

    def check_scraper(self, authorization: str, *, is_local: bool) -> None:
        """Raise an error unless the metrics may be sent to the client.

        `is_local` means that a process on this machine sent the request. The metrics have their own token, because
        they show data about all callers. Raises Unauthorized for a wrong token. If WORKER_METRICS_TOKEN is not set,
        raises NotFound for a request from another machine.
        """
        if self.metrics_token:
            if not secrets.compare_digest(self.metrics_token, bearer(authorization)):
                raise Unauthorized(
                    "the metrics require the token in WORKER_METRICS_TOKEN: send `Authorization: Bearer …`"
                )
        elif not is_local:
            raise NotFound("without WORKER_METRICS_TOKEN only this machine can read the metrics")

    def admit(self, authorization: str) -> str:
        """Return the name of the caller, and count its request for the rate limit.

        Raises Unauthorized or RateLimited.
        """
        principal = self.authenticate(authorization)
        self.count_request(principal)
        return principal

    def count_request(self, principal: str) -> None:
        """Count a request for the rate limit. Raises RateLimited."""
        if self.per_minute:
            bucket = self._buckets.setdefault(principal, TokenBucket(self.per_minute))
            wait_s = bucket.take(monotonic())
            if wait_s:
                raise RateLimited(
                    f"this token sent more than {self.per_minute} requests in a minute", retry_after_s=wait_s
                )


@dataclass(slots=True)
class TokenBucket:
    """Rate limiter that holds the requests of one minute and refills evenly.

    `remaining` is the number of requests that are allowed at the time `filled_at`, in seconds of the monotonic clock.
    """

    per_minute: int
    filled_at: float = 0.0
    remaining: float | None = None
    """None before the first request. The bucket is full then."""

    def take(self, now: float) -> float:
        """Count a request at the time `now`. Return 0 if it is allowed, else the seconds until one is allowed."""
        per_second = self.per_minute / MINUTE_S
        if self.remaining is None:
            self.remaining = self.per_minute
        else:
            refill = (now - self.filled_at) * per_second
            self.remaining = min(self.per_minute, self.remaining + refill)
        self.filled_at = now
        if self.remaining >= 1:
            self.remaining -= 1
            return 0.0
        return (1 - self.remaining) / per_second


def bearer(authorization: str) -> bytes:
    """Return the bearer token in an `Authorization` header as bytes. It is empty for any other scheme."""
    scheme, _, token = authorization.partition(" ")
    return token.strip().encode("utf-8", "surrogateescape") if scheme.lower() == "bearer" else b""


def read_tokens(text: str) -> dict[str, bytes]:
    """Parse `name=token` pairs, separated by commas. Raises StartupError, whose message contains no token."""
    tokens: dict[str, bytes] = {}
    for number, pair in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, separator, token = pair.partition("=")
        if not separator or not NAME.fullmatch(name):
            raise StartupError(f"WORKER_TOKENS: pair {number} is not name=token")
        if name in tokens or len(token) < SHORTEST_TOKEN:
            problem = "occurs twice" if name in tokens else f"has a token of fewer than {SHORTEST_TOKEN} characters"
            raise StartupError(f"WORKER_TOKENS: {name!r} {problem}")
        tokens[name] = token.encode()
    return tokens


def read_metrics_token(text: str, tokens: Mapping[str, bytes]) -> bytes:
    """Return the token for the metrics, which is empty if none is set.

    Raises StartupError if it is too short, or equals the token of a caller.
    """
    token = text.strip().encode()
    if token and len(token) < SHORTEST_TOKEN:
        raise StartupError(f"WORKER_METRICS_TOKEN has fewer than {SHORTEST_TOKEN} characters")
    if token in tokens.values():
        raise StartupError("WORKER_METRICS_TOKEN must differ from every token in WORKER_TOKENS")
    return token


def is_loopback(host: str) -> bool:
    """Return whether certainly only this machine can reach an address or a name. The only such name is localhost."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
