"""Shared downloads, revalidation, credentials, proxies and TLS of the fetcher."""

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
    """Yield a server, and a fetcher that may fetch from it."""
    async with serving(tls=tls, **answers) as origin, fetching(folder, fetch_allow=opened(origin)) as fetcher:
        yield origin, fetcher


class PausedResponse:
    """A response that starts, and continues when the test says so."""

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


async def test_simultaneous_fetches_share_one_download(tmp_path: Path) -> None:
    """Twenty simultaneous fetches of one URL send one request, and each gets the file."""
    paused = PausedResponse(FILE)
    async with origin_and_fetcher(tmp_path, file=paused) as (origin, fetcher):
        tasks = [asyncio.create_task(fetcher.fetch(origin.url())) for _ in range(20)]
        await paused.begun.wait()
        paused.open.set()
        held = await asyncio.gather(*tasks)
        assert {item.path.read_bytes() for item in held} == {FILE}
        assert len(origin.requests) == 1


async def test_a_cancelled_fetch_does_not_affect_others(tmp_path: Path) -> None:
    """Cancelling one of two fetches keeps the download for the other."""
    paused = PausedResponse(FILE)
    async with origin_and_fetcher(tmp_path, file=paused) as (origin, fetcher):
        leaving, staying = (asyncio.create_task(fetcher.fetch(origin.url())) for _ in range(2))
        await paused.begun.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        paused.open.set()
        with await staying as held:
            assert held.path.read_bytes() == FILE


async def test_the_last_cancelled_fetch_ends_the_download(tmp_path: Path) -> None:
    """Cancelling the last fetch cancels the download, and leaves no file."""
    paused = PausedResponse(FILE)
    async with origin_and_fetcher(tmp_path, file=paused) as (origin, fetcher):
        task = asyncio.create_task(fetcher.fetch(origin.url()))
        await paused.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await paused.left.wait()
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_all_fetches_get_the_error(tmp_path: Path) -> None:
    """All simultaneous fetches raise the error, and the next fetch starts again."""
    async with origin_and_fetcher(tmp_path) as (origin, fetcher):
        failures = await asyncio.gather(*(fetcher.fetch(origin.url()) for _ in range(3)), return_exceptions=True)
        assert [type(failure) for failure in failures] == [FetchFailed] * 3
        origin.answers["/file"] = content(FILE)
        (await fetcher.fetch(origin.url())).release()


async def test_an_unchanged_file_is_not_sent_again(tmp_path: Path) -> None:
    """The second fetch is conditional, and a 304 returns the cached file."""

    async def revalidated(request: web.Request) -> web.StreamResponse:
        same = request.headers.get("If-None-Match") == '"a"'
        return web.Response(status=304) if same else web.Response(body=FILE, headers={"ETag": '"a"'})

    async with origin_and_fetcher(tmp_path, file=revalidated) as (origin, fetcher):
        first = await fetcher.fetch(origin.url())
        second = await fetcher.fetch(origin.url())
        assert (first.path, second.size) == (second.path, len(FILE))
        assert len(origin.requests) == 2


async def test_a_changed_file_is_fetched(tmp_path: Path) -> None:
    """A changed file is fetched, and a job that holds the old content keeps it."""
    answer = in_turn(content(b"old", ETag='"a"'), content(b"new", ETag='"b"'))
    async with origin_and_fetcher(tmp_path, file=answer) as (origin, fetcher):
        old, new = await fetcher.fetch(origin.url()), await fetcher.fetch(origin.url())
        assert (old.path.read_bytes(), new.path.read_bytes()) == (b"old", b"new")


async def test_an_unrequested_304_is_an_error(tmp_path: Path) -> None:
    """fetch raises FetchFailed for a 304 to an unconditional request."""

    async def unchanged(request: web.Request) -> web.StreamResponse:
        return web.Response(status=304)

    async with origin_and_fetcher(tmp_path, file=unchanged) as (origin, fetcher):
        with pytest.raises(FetchFailed, match="304"):
            await fetcher.fetch(origin.url())


async def test_the_same_content_is_stored_once(tmp_path: Path) -> None:
    """Two URLs with the same content are one cached file."""
    async with origin_and_fetcher(tmp_path, a=content(FILE), b=content(FILE)) as (origin, fetcher):
        item, two = await fetcher.fetch(origin.url("/a")), await fetcher.fetch(origin.url("/b"))
        assert item.path == two.path


async def test_a_known_hash_needs_no_request(tmp_path: Path) -> None:
    """fetch with a sha256 uses the cached file without a request, and refuses another file."""
    async with origin_and_fetcher(tmp_path, file=content(FILE), other=content(b"other")) as (origin, fetcher):
        held = await fetcher.fetch(origin.url())
        (await fetcher.fetch(origin.url("/moved"), held.sha256)).release()
        assert origin.paths == ["/file"]
        with pytest.raises(FetchFailed, match="sha256"):
            await fetcher.fetch(origin.url("/other"), "0" * 64)


async def test_environment_proxies_are_not_used(tmp_path: Path) -> None:
    """fetch ignores the proxy variables of the environment."""
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
        message, _ = await process.communicate()
    assert (message, proxy.requests) == (b"True\n", [])


async def test_credentials_are_sent_to_their_host_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Credentials are sent to their host, and not to or after a redirect to another host."""
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


def test_credentials_are_not_sent_over_http() -> None:
    """Credentials are sent over http only to hosts that the operator opened."""
    credentials = Credentials.read('{"*.example.com": {"X-Key": "k"}, "example.org": "Bearer t"}')
    assert credentials.headers(read_target("https://a.example.com/"), trusted=False) == {"X-Key": "k"}
    assert credentials.headers(read_target("http://a.example.com/"), trusted=True) == {"X-Key": "k"}
    assert credentials.headers(read_target("https://example.org/"), trusted=False) == {"Authorization": "Bearer t"}
    for url in ("http://a.example.com/", "https://aexample.com/", "https://example.org.evil.example/"):
        assert credentials.headers(read_target(url), trusted=False) == {}


@pytest.mark.parametrize(
    "text", ["hf_secret", "[]", '{"a": 1}', '{"a": {"X": "\\n"}}', '{"a b": "hf_secret"}', '"hf_secret"']
)
def test_bad_credentials_are_not_in_the_error(text: str) -> None:
    """Fetcher raises StartupError with the name and form of the setting, without its value."""
    with pytest.raises(StartupError, match="WORKER_FETCH_AUTH") as refused:
        Credentials.read(text)
    assert "hf_secret" not in str(refused.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that only the test trusts."""
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


async def test_a_redirect_from_https_to_http_is_refused(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """fetch refuses a redirect from https to http, also to an opened host."""
    trust = ssl.create_default_context(cafile=certificate[1])
    async with serving(file=content(FILE)) as plain, serving(tls=encrypted(certificate), good=content(FILE)) as origin:
        origin.answers["/down"] = redirect(plain.url())
        async with fetching(tmp_path, trust=trust, fetch_allow=opened(origin, plain)) as fetcher:
            (await fetcher.fetch(origin.url("/good"))).release()
            with pytest.raises(UrlRefused, match="from https to http"):
                await fetcher.fetch(origin.url("/down"))
    assert plain.requests == []


async def test_an_untrusted_certificate(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """fetch raises FetchFailed at once for an untrusted certificate."""
    async with origin_and_fetcher(tmp_path, tls=encrypted(certificate), file=content(FILE)) as (origin, fetcher):
        with pytest.raises(FetchFailed, match="certificate"):
            await fetcher.fetch(origin.url())
        assert origin.requests == []
