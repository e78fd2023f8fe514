"""Routing of the proxy: which backends a job is sent to, and in which order."""

from __future__ import annotations

import math
import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Forbidden
from worker.proxy.callers import ProxyCaller
from worker.proxy.config.config_file import config_of_urls, read_config
from worker.proxy.dispatch.routing import BackendState, Demotion, RoutedBackend, RouteRequest, Routing, chosen_side

FILE = """
[[backends]]
name = "vast"
url = "http://127.0.0.1:1"
[[backends]]
name = "runpod"
url = "http://127.0.0.1:2"
[[backends]]
name = "modal"
url = "http://127.0.0.1:3"
[[routes]]
templates = ["flux-*"]
handlers = ["upscale"]
backends = {vast = 50, runpod = 50}
sticky = "caller"
fallback = ["modal", "vast", "runpod"]
[[routes]]
templates = ["wan-*"]
backends = {modal = 1}
[[routes]]
backends = {vast = 3, runpod = 1}
sticky = "header:X-User"
"""
ROUTING = Routing.of(read_config(FILE))
NAMES = st.text(st.characters(exclude_categories=()), max_size=20)
WEIGHTS = st.dictionaries(NAMES, st.floats(0, 1e6), min_size=1, max_size=6)
Z_99 = 2.5758
"""Quantile of the normal distribution for an interval of 99 %."""


def request(caller: str = "web", **fields: str) -> RouteRequest:
    """Return a request with a new key."""
    return RouteRequest(ProxyCaller(caller), uuid.uuid4().hex, **fields)


def names(choices: list[RoutedBackend]) -> list[str]:
    """Return the names of the backends in their order."""
    return [choice.backend for choice in choices]


def test_a_route_is_chosen_by_template_or_handler() -> None:
    """The first route that matches applies, and a plain workflow gets the one without patterns."""
    assert names(ROUTING.order(request(template="wan-2.2"), {})) == ["modal"]
    for fields in ({"template": "flux-dev"}, {"handler": "upscale"}):
        order = names(ROUTING.order(request(**fields), {}))
        assert sorted(order) == ["modal", "runpod", "vast"]
        assert order[1] == "modal"
    assert names(ROUTING.order(request(template="sdxl"), {}))[0] in {"vast", "runpod"}
    assert len(ROUTING.order(request(), {})) == 1


def test_a_route_can_be_for_callers() -> None:
    """A route with callers is for these alone, and a request without a route is refused."""
    file = FILE.replace('sticky = "header:X-User"', 'callers = ["batch-*"]')
    digest = "a" * 64
    routing = Routing.of(read_config(f'{file}[[callers]]\nname = "batch-1"\nkey_sha256 = "{digest}"\n'))
    assert routing.order(request("batch-1"), {})
    with pytest.raises(Forbidden, match=r"no route .* a workflow of 'web'"):
        routing.order(request("web"), {})
    with pytest.raises(Forbidden, match="template 'sdxl'"):
        routing.order(request("web", template="sdxl"), {})


def test_an_even_split_is_even() -> None:
    """Of 2,000 jobs each side gets a number within the 99 % interval of the binomial distribution."""
    by_key = Routing.of(config_of_urls(["a=http://x", "b=http://y"]))
    of_callers = [ROUTING.order(request(f"caller-{n}", template="flux-dev"), {}) for n in range(2000)]
    of_jobs = [by_key.order(RouteRequest(ProxyCaller("web"), f"job-{n}"), {}) for n in range(2000)]
    for orders in (of_callers, of_jobs):
        counts = Counter(order[0].backend for order in orders)
        assert len(counts) == 2
        assert all(abs(count - 1000) <= Z_99 * math.sqrt(2000 / 4) for count in counts.values())


def test_weights_are_shares() -> None:
    """A weight of 3 to 1 gives three quarters, by a header of the request."""
    users = [f"user-{number}" for number in range(4000)]
    counts = Counter(ROUTING.order(request(sticky=user), {})[0].backend for user in users)
    assert abs(counts["vast"] - 3000) <= Z_99 * math.sqrt(4000 * 0.75 * 0.25)


def test_the_same_caller_sees_the_same_side() -> None:
    """With `sticky = "caller"`, all jobs of a caller go to one side, and callers differ."""
    sides = {
        caller: {ROUTING.order(request(caller, template="flux-dev"), {})[0].backend for _ in range(20)}
        for caller in (f"caller-{number}" for number in range(50))
    }
    assert all(len(side) == 1 for side in sides.values())
    assert len(set.union(*sides.values())) == 2


def test_a_header_decides_before_the_caller() -> None:
    """With `sticky = "header:..."`, the header decides, and the caller of a request without it."""
    assert ROUTING.sticky_header(request()) == "X-User"
    assert ROUTING.sticky_header(request(template="flux-dev")) == ""
    of_user = {ROUTING.order(request(f"caller-{n}", sticky="user-1"), {})[0].backend for n in range(50)}
    of_callers = {ROUTING.order(request(f"caller-{n}"), {})[0].backend for n in range(50)}
    assert (len(of_user), len(of_callers)) == (1, 2)


def test_busy_backends_come_later_and_unreachable_ones_last() -> None:
    """The order has the reason of each backend that stands behind others."""
    busy, gone = BackendState(queued=11, max_queue=10), BackendState(reachable=False)
    job = request(template="flux-dev")
    side, _, other = names(ROUTING.order(job, {}))
    assert ROUTING.order(job, {side: gone, "modal": busy}) == [
        RoutedBackend(other),
        RoutedBackend("modal", Demotion.QUEUE_TOO_LONG),
        RoutedBackend(side, Demotion.UNREACHABLE),
    ]
    assert names(ROUTING.order(job, {side: BackendState(queued=10, max_queue=10)}))[0] == side
    assert names(ROUTING.order(job, {side: BackendState(queued=1000)}))[0] == side


def test_a_caller_gets_only_its_backends() -> None:
    """Backends that the caller may not use are neither a side nor a fallback."""
    job = RouteRequest(ProxyCaller("web", backends=("mod*",)), "key", template="flux-dev")
    assert names(ROUTING.order(job, {})) == ["modal"]
    with pytest.raises(Forbidden, match="none of the backends"):
        ROUTING.order(RouteRequest(job.caller, "key"), {})


@given(NAMES, WEIGHTS)
def test_a_side_is_a_backend_with_a_weight(value: str, weights: dict[str, float]) -> None:
    """A value always chooses the same backend, whose weight is above 0, if there is one."""
    side = chosen_side(value, weights)
    assert side == chosen_side(value, dict(reversed(weights.items())))
    assert len(side) == any(weights.values())
    assert all(weights[name] > 0 for name in side)


@given(NAMES, st.dictionaries(NAMES, st.floats(0.001, 1e3), min_size=1, max_size=6), st.data())
def test_a_change_moves_values_only_to_or_from_the_changed_backend(
    value: str, weights: dict[str, float], data: st.DataObject
) -> None:
    """A larger weight, or a new backend, takes values from the others, and moves none between them."""
    changed = data.draw(st.sampled_from(sorted(weights)) | NAMES)
    before = chosen_side(value, weights)
    after = chosen_side(value, {**weights, changed: weights.get(changed, 0) + data.draw(st.floats(0.001, 1e3))})
    assert after in (before, [changed])


@given(st.dictionaries(st.sampled_from(["vast", "runpod", "modal"]), st.builds(BackendState)), NAMES, NAMES)
def test_an_order_has_each_backend_once(states: dict[str, BackendState], caller: str, template: str) -> None:
    """No state of the backends loses or repeats one, and backends without a problem come first."""
    order = ROUTING.order(request(caller, template=f"flux-{template}"), states)
    assert sorted(names(order)) == ["modal", "runpod", "vast"]
    flawed = [choice.demotion is not None for choice in order]
    assert flawed == sorted(flawed)
