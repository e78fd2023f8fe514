"""One download for all who ask at once, another one only for what has changed, credentials for whom they are meant."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from tests.fetch.origin import Answer, Origin, content, fetching, in_turn, opened, redirect, serving
from worker.errors import FetchFailed, StartupError, UrlRefused
from worker.fetch.credentials import Credentials
from worker.fetch.fetcher import Fetcher
from worker.fetch.target import read_target

FILE = b"file" * 1000
TOKEN = "Bearer hf_do-not-tell"


@asynccontextmanager
async def origin_and_fetcher(
    folder: Path, tls: ssl.SSLContext | None = None, **answers: Answer
) -> AsyncIterator[tuple[Origin, Fetcher]]:
    """A server that is open to the fetcher."""
    async with serving(tls=tls, **answers) as origin, fetching(folder, fetch_allow=opened(origin)) as fetcher:
        yield origin, fetcher


class HeldAnswer:
    """An answer that is begun, and goes on when the test says so."""

    def __init__(self, data: bytes) -> None:
        self.begun, self.open, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._data = data

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(self._data)
        await response.prepare(request)
        await response.write(self._data[:1])
        self.begun.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        await response.write(self._data[1:])
        return response


async def test_many_who_ask_at_once_share_one_download(tmp_path: Path) -> None:
    """One request for twenty, and every one holds the file."""
    gate = HeldAnswer(FILE)
    async with origin_and_fetcher(tmp_path, file=gate) as (origin, fetcher):
        tasks = [asyncio.create_task(fetcher.fetch(origin.url())) for _ in range(20)]
        await gate.begun.wait()
        gate.open.set()
        held = await asyncio.gather(*tasks)
        assert {one.path.read_bytes() for one in held} == {FILE}
        assert len(origin.requests) == 1


async def test_one_who_leaves_takes_nothing_from_the_others(tmp_path: Path) -> None:
    """Cancelling one of two leaves the download to the other."""
    gate = HeldAnswer(FILE)
    async with origin_and_fetcher(tmp_path, file=gate) as (origin, fetcher):
        leaving, staying = (asyncio.create_task(fetcher.fetch(origin.url())) for _ in range(2))
        await gate.begun.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        gate.open.set()
        with await staying as held:
            assert held.path.read_bytes() == FILE


async def test_the_last_who_leaves_ends_the_download(tmp_path: Path) -> None:
    """Nothing goes on for nobody, and nothing of it stays on disk."""
    gate = HeldAnswer(FILE)
    async with origin_and_fetcher(tmp_path, file=gate) as (origin, fetcher):
        task = asyncio.create_task(fetcher.fetch(origin.url()))
        await gate.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gate.left.wait()
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_all_who_wait_hear_of_a_failure(tmp_path: Path) -> None:
    """And the next one who asks starts anew."""
    async with origin_and_fetcher(tmp_path) as (origin, fetcher):
        failures = await asyncio.gather(*(fetcher.fetch(origin.url()) for _ in range(3)), return_exceptions=True)
        assert [type(failure) for failure in failures] == [FetchFailed] * 3
        origin.answers["/file"] = content(FILE)
        (await fetcher.fetch(origin.url())).release()


async def test_what_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    """The second fetch asks with what the server said of the first; 304 means the file that is here."""

    async def revalidated(request: web.Request) -> web.StreamResponse:
        same = request.headers.get("If-None-Match") == '"a"'
        return web.Response(status=304) if same else web.Response(body=FILE, headers={"ETag": '"a"'})

    async with origin_and_fetcher(tmp_path, file=revalidated) as (origin, fetcher):
        first = await fetcher.fetch(origin.url())
        second = await fetcher.fetch(origin.url())
        assert (first.path, second.size) == (second.path, len(FILE))
        assert len(origin.requests) == 2


async def test_what_has_changed_is_another_file(tmp_path: Path) -> None:
    """A job that holds the old content keeps it."""
    answer = in_turn(content(b"old", ETag='"a"'), content(b"new", ETag='"b"'))
    async with origin_and_fetcher(tmp_path, file=answer) as (origin, fetcher):
        old, new = await fetcher.fetch(origin.url()), await fetcher.fetch(origin.url())
        assert (old.path.read_bytes(), new.path.read_bytes()) == (b"old", b"new")


async def test_a_304_nobody_asked_for_is_no_file(tmp_path: Path) -> None:
    """A first request that is answered "not modified" has nothing to go back to."""

    async def unchanged(request: web.Request) -> web.StreamResponse:
        return web.Response(status=304)

    async with origin_and_fetcher(tmp_path, file=unchanged) as (origin, fetcher):
        with pytest.raises(FetchFailed, match="304"):
            await fetcher.fetch(origin.url())


async def test_the_same_content_is_stored_once(tmp_path: Path) -> None:
    """Two URLs, one file."""
    async with origin_and_fetcher(tmp_path, a=content(FILE), b=content(FILE)) as (origin, fetcher):
        one, two = await fetcher.fetch(origin.url("/a")), await fetcher.fetch(origin.url("/b"))
        assert one.path == two.path


async def test_a_known_hash_needs_no_network_and_takes_no_other_file(tmp_path: Path) -> None:
    """A file that is here by its sha256 is not asked for; one that turns out to be another is refused."""
    async with origin_and_fetcher(tmp_path, file=content(FILE), other=content(b"other")) as (origin, fetcher):
        held = await fetcher.fetch(origin.url())
        (await fetcher.fetch(origin.url("/moved"), held.sha256)).release()
        assert origin.paths == ["/file"]
        with pytest.raises(FetchFailed, match="sha256"):
            await fetcher.fetch(origin.url("/other"), "0" * 64)


async def test_environment_proxies_are_not_asked(tmp_path: Path) -> None:
    """A proxy would connect to what was never checked."""
    code = (
        "import asyncio, sys, pathlib\n"
        "from worker.fetch.fetcher import Fetcher\n"
        "from worker.settings import FetchSettings\n"
        "async def main():\n"
        "    async with Fetcher(FetchSettings(allow=sys.argv[2]), pathlib.Path(sys.argv[3])) as fetcher:\n"
        "        print((await fetcher.fetch(sys.argv[1])).path.read_bytes() == b'file' * 1000)\n"
        "asyncio.run(main())\n"
    )
    async with serving(file=content(FILE)) as origin, serving(**{"*": content(b"proxied")}) as proxy:
        names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY")
        environment = dict.fromkeys(names, f"http://127.0.0.1:{proxy.port}") | {"PATH": "/usr/bin:/bin"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, origin.url(), opened(origin), str(tmp_path)),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
    assert (said, proxy.requests) == (b"True\n", [])


async def test_credentials_go_to_their_host_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Sent to the host they are for; not to where it redirects, not back from there, and told to nobody."""
    caplog.set_level(logging.DEBUG)
    async with serving(file=content(FILE)) as other, serving(plain=content(FILE)) as origin:
        origin.answers["/here"] = redirect("/plain")
        origin.answers["/there"] = redirect(other.url())
        origin.answers["/round"] = redirect(other.url("/back"))
        other.answers["/back"] = redirect(origin.url("/plain"))
        auth = f'{{"127.0.0.1:{origin.port}": "{TOKEN}"}}'
        async with fetching(tmp_path, fetch_allow=opened(origin, other), fetch_auth=SecretStr(auth)) as fetcher:
            for path in ("/here", "/there", "/round"):
                (await fetcher.fetch(origin.url(path))).release()
            with pytest.raises(FetchFailed) as failed:
                await fetcher.fetch(origin.url("/nowhere"))
        assert TOKEN not in str(failed.value.as_dict()) + repr(Credentials.read(auth)) + caplog.text
    sent = [(request.path, request.headers.get("Authorization")) for request in origin.requests]
    assert sent == [
        ("/here", TOKEN),
        ("/plain", TOKEN),
        ("/there", TOKEN),
        ("/round", TOKEN),
        ("/plain", None),
        ("/nowhere", TOKEN),
    ]
    assert [request.headers.get("Authorization") for request in other.requests] == [None, None]


def test_credentials_are_not_sent_in_the_clear() -> None:
    """Over http only to hosts that the operator opened; to a host that only ends alike never."""
    credentials = Credentials.read('{"*.example.com": {"X-Key": "k"}, "example.org": "Bearer t"}')
    assert credentials.headers(read_target("https://a.example.com/"), trusted=False) == {"X-Key": "k"}
    assert credentials.headers(read_target("http://a.example.com/"), trusted=True) == {"X-Key": "k"}
    assert credentials.headers(read_target("https://example.org/"), trusted=False) == {"Authorization": "Bearer t"}
    for url in ("http://a.example.com/", "https://aexample.com/", "https://example.org.evil.example/"):
        assert credentials.headers(read_target(url), trusted=False) == {}


@pytest.mark.parametrize(
    "text", ["hf_secret", "[]", '{"a": 1}', '{"a": {"X": "\\n"}}', '{"a b": "hf_secret"}', '"hf_secret"']
)
def test_bad_credentials_stop_the_start_without_being_told(text: str) -> None:
    """The error names the setting and its form, not its value."""
    with pytest.raises(StartupError, match="WORKER_FETCH_AUTH") as refused:
        Credentials.read(text)
    assert "hf_secret" not in str(refused.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody but a test trusts."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=test"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return key, cert


def encrypted(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def test_encryption_is_not_given_up(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """A redirect from https to http is refused, to a host that is open, too."""
    trust = ssl.create_default_context(cafile=certificate[1])
    async with serving(file=content(FILE)) as plain, serving(tls=encrypted(certificate), good=content(FILE)) as origin:
        origin.answers["/down"] = redirect(plain.url())
        async with fetching(tmp_path, trust=trust, fetch_allow=opened(origin, plain)) as fetcher:
            (await fetcher.fetch(origin.url("/good"))).release()
            with pytest.raises(UrlRefused, match="from https to http"):
                await fetcher.fetch(origin.url("/down"))
    assert plain.requests == []


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """Is an error that says so, at once."""
    async with origin_and_fetcher(tmp_path, tls=encrypted(certificate), file=content(FILE)) as (origin, fetcher):
        with pytest.raises(FetchFailed, match="certificate"):
            await fetcher.fetch(origin.url())
        assert origin.requests == []
