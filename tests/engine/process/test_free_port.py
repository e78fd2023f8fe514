"""Tests of the ports for engines and workers."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from worker.engine.process.free_port import HOST, LOWEST, OUTGOING_FROM, free_port, free_ports


def test_ports_are_different_and_free() -> None:
    """`free_ports` returns different ports that can all be listened on."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    listening = [socket.create_server((HOST, port)) for port in ports]
    for server in listening:
        server.close()


def test_no_outgoing_connection_takes_the_port() -> None:
    """`free_ports` returns ports below those that the kernel assigns."""
    with ExitStack() as held:
        servers = [held.enter_context(socket.create_server((HOST, 0))) for _ in range(50)]
        lowest = min(server.getsockname()[1] for server in servers)
    if lowest < OUTGOING_FROM:
        pytest.skip("this kernel was told to choose among all ports")
    assert all(LOWEST <= free_port() < lowest for _ in range(50))
