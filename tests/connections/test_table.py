"""Which connection is evicted, and what counts as one client."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from worker.connections import ConnectionLimits
from worker.connections.connection import Connection, Phase
from worker.connections.descriptors import reserve, reserve_in_use
from worker.connections.table import ConnectionTable, eviction_candidate


class FakeConnection(Connection):
    """A connection in a given phase, without a socket."""

    def __init__(self, client: str, phase: Phase = Phase.WAITING) -> None:
        self.client = client
        self._phase = phase

    @property
    def phase(self) -> Phase:
        return self._phase


def test_the_oldest_that_waits_goes_first() -> None:
    """A connection without a request is evicted before one with half a body.

    One with a complete request is never evicted.
    """
    complete, body, waiting = (FakeConnection("a", phase) for phase in (Phase.RESPONSE, Phase.BODY, Phase.WAITING))
    assert eviction_candidate([complete, body, waiting, FakeConnection("a")]) is waiting
    assert eviction_candidate([complete, body, FakeConnection("a", Phase.BODY)]) is body
    assert eviction_candidate([complete]) is None


def test_a_client_with_many_makes_room_itself() -> None:
    """Above the limit of one address, a connection of that address is evicted.

    Above the total limit, one of the largest client is evicted.
    """
    table = ConnectionTable(ConnectionLimits(max_unauthenticated=6))
    many = [FakeConnection("many") for _ in range(3)]
    for connection in many:
        assert table.eviction_group("few") == ()
        table.add(connection)
    assert list(table.eviction_group("many")) == many
    assert table.eviction_group("few") == ()
    others = [FakeConnection("few"), FakeConnection("few"), FakeConnection("other")]
    for connection in others:
        table.add(connection)
    assert list(table.eviction_group("new")) == many
    table.discard(many[0])
    table.discard(many[0])
    assert len(table) == 5
    assert table.eviction_group("new") == ()


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("", ""),
    ],
)
def test_one_client(address: str, client: str | None) -> None:
    """An IPv6 network is one client. Each connection of a trusted proxy is another client."""
    assert ConnectionLimits(trusted=(ip_network("10.0.0.0/8"),)).client_key(address) == client


def test_the_last_descriptors_are_kept() -> None:
    """The reserve is a quarter of the limit and at most some hundred. Below it nothing is evicted."""
    assert [reserve(limit) for limit in (40, 200, 1024, 60_000)] == [16, 50, 256, 256]
    assert not reserve_in_use(1, 3)
