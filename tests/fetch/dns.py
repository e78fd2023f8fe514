"""A real DNS server on loopback whose responses change as a test defines."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import cast

from aiohttp.resolver import AsyncResolver

A, CNAME, AAAA = 1, 5, 28


class NameServer(asyncio.DatagramProtocol):
    """A DNS server. `answers` maps a name to the addresses of each response in order, and the last one is repeated."""

    def __init__(self, answers: dict[str, list[list[str]]]) -> None:
        self.answers = {name: list(turns) for name, turns in answers.items()}
        self.asked: list[str] = []
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        labels, at = [], 12
        while length := data[at]:
            labels.append(data[at + 1 : at + 1 + length].decode().lower())
            at += 1 + length
        name = ".".join(labels)
        [kind] = struct.unpack(">H", data[at + 1 : at + 3])
        records = self._records(name, kind)
        header = data[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
        self._transport.sendto(header + data[12 : at + 5] + b"".join(records), addr)

    def _records(self, name: str, kind: int) -> list[bytes]:
        turns = self.answers.get(name, [[]])
        if kind == A:
            self.asked.append(name)
        found = turns[0]
        # Both questions of a resolver get the same turn: A comes first, AAAA ends it.
        if kind == AAAA and len(turns) > 1:
            turns.pop(0)
        packed = [ip_address(text).packed for text in found if ip_address(text).version == (4 if kind == A else 6)]
        return [b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(data)) + data for data in packed]


@asynccontextmanager
async def naming(**answers: list[list[str]]) -> AsyncIterator[tuple[NameServer, AsyncResolver]]:
    """Yield a server and a resolver that uses it. Keywords are names with `_` in place of a dot."""
    loop = asyncio.get_running_loop()
    turns = {name.replace("_", "."): one for name, one in answers.items()}
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(turns), ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    try:
        yield server, AsyncResolver(nameservers=["127.0.0.1"], udp_port=port, tcp_port=port)
    finally:
        transport.close()
