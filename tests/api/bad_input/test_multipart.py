"""Multipart bodies with names and headers that are invalid or not UTF-8."""

from __future__ import annotations

import asyncio
import json

import pytest
from yarl import URL

from tests.api.bad_input.bodies import with_file
from tests.conftest import Client, shared_client
from tests.workflows import picture

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionHeader"),
    pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionParam"),
]
client = shared_client

REQUEST = json.dumps({"workflow": picture()}).encode()
LOADING = json.dumps({"workflow": with_file()}).encode()
NAMES = (
    *(
        b"\xff.png",
        b"\xff/",
        b"\xff/.png",
        b"\xed\xa0\x80.png",
        b"\0.png",
        b"a\0b.png",
        b"",
        b"/",
        b"..",
        b"../x",
        b".",
    ),
    *(b"\xc3", b"\xf0\x9f\x98", b"a" * 241, b"a" * 256, b"a" * 5_000, "画".encode() * 84, "😀".encode() * 64),
    *("e\u0301".encode() * 90, "é".encode() * 130, b"=?utf-8?B?////?=", b"=?utf-8?Q?=ff=fe?=", b"=?x?B?YQ==?="),
    *(b"=?utf-8?B?" + b"QUFB" * 300 + b"?=", b"\\\\", b'a\\"b.png', b"a;b", b"%ff%fe.png", b"%00.png", b"request\xff"),
    *(b"workflow", b"prompt", b"output_format", b"inputs", b"strict", b"id", b"timeout_s", b"put_urls", b"webhook"),
)
HEADERS = (
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: \xff",
    b"Content-Transfer-Encoding: quoted-printable",
    b"Content-Encoding: gzip",
    b"Content-Encoding: br",
    b"Content-Encoding: \xff",
    b"Content-Type: application/json; charset=\xff",
    b"Content-Type: application/json; charset=utf-7",
    b"Content-Type: application/json; charset=rot13",
    b"Content-Type: application/json; charset=idna",
    b"Content-Type: multipart/mixed; boundary=c",
    b"Content-Type: \xff\xfe",
    b"Content-Length: 999999999",
    b"Content-Length: -1",
    b"Content-Length: \xd9\xa3",
    b"Content-Length: " + b"9" * 5_000,
    b"\xff: \xff",
    b"X: " + b"a" * 20_000,
    b"no colon",
    b": nothing",
)
DISPOSITIONS = (
    b'form-data; name="a.png"; filename="\xff.png"',
    b'form-data; name="a.png"; filename="\0"',
    b"form-data; name*=utf-8''%ff%fe.png",
    b"form-data; name*=utf-99''a.png",
    b"form-data; name*=a.png",
    b"form-data; name*0=a; name*9999999999999999999=b",
    b"form-data; name*0=a; name*" + "٣".encode() + b"=b",
    b"form-data; name*" + "²".encode() + b"=b",
    b"form-data; name*0*=utf-8''%ff; name*1*=%fe",
    b'form-data; name="a.png',
    b"form-data; name=",
    b"form-data",
    b"attachment; filename=a.png",
    b'\xff; name="a.png"',
    b'form-data; name="request"; filename="\xff"',
    b'form-data; name="a.png"; name="b.png"',
)


def part(head: bytes, data: bytes) -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


def named(name: bytes, data: bytes = b"x", more: bytes = b"") -> bytes:
    return part(b'Content-Disposition: form-data; name="' + name + b'"' + (b"\r\n" + more if more else b""), data)


async def send(
    client: Client, body: bytes, path: str = "/generate/sync", kind: bytes = b"multipart/form-data; boundary=b"
) -> tuple[int, dict]:
    """Send raw bytes. Return the status and the JSON of the response."""
    url = URL(client.app.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nConnection: close\r\n".encode()
    writer.write(head + b"Content-Length: %d\r\nContent-Type: %b\r\n\r\n" % (len(body), kind) + body)
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(text)


def is_expected_response(status: int, answer: dict) -> bool:
    """Return whether the status is below 500, and an error has the error object."""
    return status < 500 and (status < 400 or "code" in (answer.get("error") or answer))


@pytest.mark.parametrize("path", ["/generate/sync", "/validate", "/convert"])
async def test_names_of_raw_bytes(client: Client, path: str) -> None:
    """A part whose name has any bytes gets a JSON response below 500."""
    for name in NAMES:
        for request in (REQUEST, LOADING):
            answered = await send(client, form(named(b"request", request), named(name)), path)
            assert is_expected_response(*answered), (name, answered)
        twice = form(named(name), named(name), named(b"request", REQUEST))
        assert is_expected_response(*await send(client, twice, path)), name


@pytest.mark.parametrize("path", ["/generate/sync", "/validate", "/convert"])
async def test_headers_of_parts(client: Client, path: str) -> None:
    """A part with any headers gets a JSON response below 500."""
    for header in HEADERS:
        for name, data in ((b"request", REQUEST), (b"a.png", b"x"), (b"strict", b"\xff")):
            body = form(named(name, data, header), *([] if name == b"request" else [named(b"request", REQUEST)]))
            answered = await send(client, body, path)
            assert is_expected_response(*answered), (header, answered)
    for disposition in DISPOSITIONS:
        body = form(named(b"request", REQUEST), part(b"Content-Disposition: " + disposition, b"x"))
        answered = await send(client, body, path)
        assert is_expected_response(*answered), (disposition, answered)


@pytest.mark.parametrize("path", ["/generate/sync", "/validate", "/convert"])
async def test_broken_forms(client: Client, path: str) -> None:
    """A form with a missing end or a wrong boundary is a client error."""
    whole = form(named(b"request", REQUEST))
    kinds = (
        *(b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=\xff"),
        *(b"multipart/form-data; boundary=" + b"b" * 71, b"multipart/mixed; boundary=b", b"multipart/x"),
        *(b"multipart/form-data; boundary=b", b"multipart/form-data; boundary=c", b"multipart/\xff; boundary=b"),
        *(b"application/json; charset=\xff", b"application/json; charset=" + b"a" * 5000, b"\xff", b"", b"a/b/c;;;="),
        *(b"application/json; charset=idna", b"application/json; charset=undefined", b"text/plain; charset=punycode"),
        *(b"application/x-www-form-urlencoded; charset=\xff", b"application/x-www-form-urlencoded"),
    )
    for kind in kinds:
        for body in (
            whole,
            whole[:-4],
            whole[:40],
            b"",
            b"--b--\r\n",
            b"--b\r\n",
            b"\r\n" * 50,
            b"a=%ff&b=%",
            b"\xff=\xff",
        ):
            answered = await send(client, body, path, kind)
            assert is_expected_response(*answered), (kind, body[:60], answered)
