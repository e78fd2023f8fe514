"""Which backends a job is sent to, and in which order: the side that its route chooses, then the fallbacks. Pure.

A side is chosen by rendezvous hashing with weights: each backend gets a score from the hash of the sticky value and
its own name, and the highest score wins. So the same value always gets the same side. If a weight changes, values move
only to a backend that gains, or from one that loses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256

from worker.errors import Forbidden
from worker.proxy.callers import ProxyCaller
from worker.proxy.config.tables import ProxyConfig, RouteTable

HASH_BITS = 53
"""Bits of a hash that a float holds exactly."""


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What a route reads in a request.

    - `key` is the job's key, or the Idempotency-Key of the request, so that a request that is repeated stays on a side.
    - `sticky` is the value of the header that `Routing.sticky_header` names.
    """

    caller: ProxyCaller
    key: str
    template: str = ""
    handler: str = ""
    sticky: str = ""


class Demotion(StrEnum):
    """Why a backend is tried only after the others."""

    QUEUE_TOO_LONG = "queue_too_long"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class BackendState:
    """The state of a backend. `queued` is the number of its waiting jobs, None if the backend does not report it."""

    reachable: bool = True
    queued: int | None = None
    max_queue: int | None = None

    @property
    def demotion(self) -> Demotion | None:
        """The reason to try other backends first, None if there is none."""
        if not self.reachable:
            return Demotion.UNREACHABLE
        is_too_long = self.queued is not None and self.max_queue is not None and self.queued > self.max_queue
        return Demotion.QUEUE_TOO_LONG if is_too_long else None


@dataclass(frozen=True, slots=True)
class RoutedBackend:
    """A backend to try. `demotion` is the reason why it stands after others that its route names later.

    `rank` is its place without demotions, from 0.
    """

    backend: str
    demotion: Demotion | None = None
    rank: int = field(default=0, compare=False)


ORDER = (None, Demotion.QUEUE_TOO_LONG, Demotion.UNREACHABLE)
UNKNOWN_STATE = BackendState()


@dataclass(frozen=True, slots=True)
class Routing:
    """The routes of a configuration, in their order in the file."""

    routes: tuple[RouteTable, ...]

    @classmethod
    def of(cls, config: ProxyConfig) -> Routing:
        """Return the routes of a configuration."""
        return cls(config.effective_routes)

    def sticky_header(self, request: RouteRequest) -> str:
        """Return the name of the header that decides the side of a request, empty if none does. Raises Forbidden."""
        return self.route(request).sticky_header

    def order(self, request: RouteRequest, states: Mapping[str, BackendState]) -> list[RoutedBackend]:
        """Return the backends to try for a job, the best first.

        The side that the route chooses comes first, then its fallbacks. Backends with too many waiting jobs come after
        those, and unreachable ones last, because the state may be out of date. A backend without a state counts as
        reachable. Raises Forbidden if no route matches, or if the caller may use none of the backends.
        """
        route = self.route(request)
        weights = {name: weight for name, weight in route.backends.items() if request.caller.may_use(name)}
        side = chosen_side(_sticky_value(route, request), weights)
        names = [*side, *(name for name in route.fallback if request.caller.may_use(name) and name not in side)]
        if not names:
            raise Forbidden(f"{request.caller.name!r} may use none of the backends of this job: ask the operator")
        choices = [
            RoutedBackend(name, states.get(name, UNKNOWN_STATE).demotion, rank)
            for rank, name in enumerate(dict.fromkeys(names))
        ]
        return sorted(choices, key=lambda choice: ORDER.index(choice.demotion))

    def route(self, request: RouteRequest) -> RouteTable:
        """Return the first route that matches a request. Raises Forbidden if there is none."""
        for route in self.routes:
            if _matches(route, request):
                return route
        kind = next((f"{kind} {name!r}" for kind, name in _names(request) if name), "a workflow")
        raise Forbidden(f"no route of this proxy is for {kind} of {request.caller.name!r}: ask the operator")


def chosen_side(value: str, weights: Mapping[str, float]) -> list[str]:
    """Return the one backend that a value chooses, or an empty list if no backend has a weight above 0."""
    if len(weights) == 1:
        return [name for name, weight in weights.items() if weight > 0]
    scores = {name: _score(value, name, weight) for name, weight in weights.items() if weight > 0}
    return [max(scores, key=lambda name: (scores[name], name))] if scores else []


def passed_over(choices: Sequence[RoutedBackend]) -> list[RoutedBackend]:
    """Return the backends that would have been tried before the first one, but for their state."""
    return [choice for choice in choices if choice.rank < choices[0].rank]


def _score(value: str, backend: str, weight: float) -> float:
    """Return the score of a backend for a value. The highest of several wins with a chance in proportion to weights."""
    digest = sha256(f"{backend}\0{value}".encode(errors="surrogatepass")).digest()
    fraction = (int.from_bytes(digest[:8]) >> (64 - HASH_BITS)) + 0.5
    return weight / -math.log(fraction / 2**HASH_BITS)


def _sticky_value(route: RouteTable, request: RouteRequest) -> str:
    """Return the text that decides the side. A request without the route's header is decided by its caller."""
    if route.sticky == "key":
        return request.key
    return request.sticky if route.sticky_header and request.sticky else request.caller.name


def _matches(route: RouteTable, request: RouteRequest) -> bool:
    """Return whether a route is for a request."""
    if route.callers and not _any_matches(route.callers, request.caller.name):
        return False
    if not route.templates and not route.handlers:
        return True
    return _any_matches(route.templates, request.template) or _any_matches(route.handlers, request.handler)


def _any_matches(patterns: Iterable[str], name: str) -> bool:
    """Return whether one of the patterns matches a name. No pattern matches an empty one."""
    return bool(name) and any(fnmatchcase(name, pattern) for pattern in patterns)


def _names(request: RouteRequest) -> tuple[tuple[str, str], ...]:
    """Return the kinds and names by which routes choose a request."""
    return (("template", request.template), ("handler", request.handler))
