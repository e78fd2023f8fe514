"""Authentication: callers need a token, and see only their own jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.conftest import bearer, worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.api.auth import Auth, TokenBucket, is_loopback, read_tokens
from worker.app import build
from worker.errors import StartupError
from worker.settings import Settings

ALICE, BOB = "alice-0123456789abcdef", "bob-0123456789abcdef"
TOKENS = SecretStr(f"alice={ALICE}, bob={BOB}")


async def test_work_needs_a_token(engine: EngineHandle, tmp_path: Path) -> None:
    """With tokens configured, every route that starts work rejects a request without one. `/health` does not."""
    async with worker(engine, tmp_path, tokens=TOKENS) as client:
        for path in ("/generate/sync", "/generate", "/generate/stream"):
            for headers in ({}, bearer("wrong"), {"Authorization": f"Basic {ALICE}"}):
                url, body = client.app.url + path, {"workflow": picture()}
                async with client.http.post(url, json=body, headers=headers) as answer:
                    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await client.get("/capabilities"))[0] == 401
        assert (await client.get("/queue-info"))[0] == 401
        assert (await client.get("/capabilities", ALICE))[0] == 200
        assert (await client.get("/health"))[0] == 200
        assert (await client.get("/ready"))[0] == 200


async def test_jobs_belong_to_who_asked(engine: EngineHandle, tmp_path: Path) -> None:
    """The same id is a different job for each caller. A job opens with its caller's token or its own."""
    async with worker(engine, tmp_path, tokens=TOKENS) as client:
        jobs = {}
        for token in (ALICE, BOB):
            body = {"workflow": picture(), "id": "same"}
            async with client.http.post(client.app.url + "/generate", json=body, headers=bearer(token)) as answer:
                jobs[token] = await answer.json()
        assert jobs[ALICE]["token"] != jobs[BOB]["token"]
        for token in (ALICE, jobs[BOB]["token"]):
            url = f"{client.app.url}/jobs/same/events"
            async with client.http.get(url, headers=bearer(token)) as stream:
                assert (await stream.read()).count(b"event: result") == 1
        async with client.http.post(
            client.app.url + "/generate", json={"workflow": picture(), "id": "alices"}, headers=bearer(ALICE)
        ) as answer:
            assert answer.status == 202
        assert (await client.get("/jobs/alices", BOB))[0] == 404
        assert (await client.delete("/jobs/alices", BOB))[0] == 404
        assert (await client.delete("/jobs/alices"))[0] == 404


async def test_rate_limit_is_each_tokens_own(engine: EngineHandle, tmp_path: Path) -> None:
    """A caller above the rate limit gets 429 with Retry-After. Other callers are not affected."""
    async with worker(engine, tmp_path, tokens=TOKENS, rate_limit=2) as client:
        statuses = []
        for token in (ALICE, ALICE, ALICE, BOB):
            async with client.http.post(
                client.app.url + "/generate/sync", json={"workflow": picture()}, headers=bearer(token)
            ) as answer:
                statuses.append((answer.status, int(answer.headers.get("Retry-After", "0"))))
    assert [status for status, _ in statuses] == [200, 200, 429, 200]
    assert 1 <= statuses[2][1] <= 30


@pytest.mark.parametrize(
    ("path", "status"), [("/validate", 200), ("/convert", 200), ("/generate", 202), ("/generate/stream", 200)]
)
async def test_rate_limit_covers_all_that_takes_time(
    engine: EngineHandle, tmp_path: Path, path: str, status: int
) -> None:
    """Requests to validate, convert and deliver count for the rate limit."""
    async with worker(engine, tmp_path, tokens=TOKENS, rate_limit=3) as client:
        body = picture() if path == "/convert" else {"workflow": picture()}
        statuses = []
        for _ in range(5):
            async with client.http.post(client.app.url + path, json=body, headers=bearer(ALICE)) as answer:
                statuses.append(answer.status)
        assert statuses == [status] * 3 + [429] * 2
        async with client.http.post(client.app.url + "/generate", json={"id": "b"}, headers=bearer(BOB)) as answer:
            assert answer.status == 400


async def test_rate_limit_covers_deliveries(engine: EngineHandle, tmp_path: Path) -> None:
    """Repeated deliveries of a result count for the rate limit of the caller."""
    async with worker(engine, tmp_path, tokens=TOKENS, rate_limit=3) as client:
        body = {"workflow": picture(), "id": "mine"}
        async with client.http.post(client.app.url + "/generate/sync", json=body, headers=bearer(ALICE)) as answer:
            assert answer.status == 200
        statuses = []
        for _ in range(4):
            async with client.http.post(client.app.url + "/jobs/mine/deliver", headers=bearer(ALICE)) as answer:
                statuses.append(answer.status)
    assert statuses[2:] == [429, 429]
    assert 429 not in statuses[:2]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com", ""])  # noqa: S104
async def test_no_public_gateway_without_tokens(tmp_path: Path, host: str) -> None:
    """The worker does not start without tokens on an address that other machines can reach."""
    with pytest.raises(StartupError, match="WORKER_TOKENS"):
        async with build(Settings.of(host=host, port=0, state=tmp_path, comfyui="http://127.0.0.1:9")):
            pass


def test_loopback_in_all_its_forms() -> None:
    """127.0.0.0/8, ::1 and localhost are recognised as this machine."""
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.example.com"))  # noqa: S104


BAD = ("alice", "a b=0123456789abcdef", "alice=short", f"x={ALICE},x={BOB}", "=0123456789abcdef")


@pytest.mark.parametrize("text", BAD)
def test_bad_tokens_are_refused_without_being_told(text: str) -> None:
    """The error for an invalid token names its position, and never contains the token."""
    with pytest.raises(StartupError) as refused:
        read_tokens(text)
    assert not any(pair.partition("=")[2] in str(refused.value) for pair in text.split(",") if "=" in pair)


def test_tokens_are_in_no_text() -> None:
    """Printed settings contain no secret."""
    assert ALICE not in repr(Settings.of(tokens=TOKENS))


def test_a_bucket_fills_evenly() -> None:
    """With 60 requests a minute, 60 are allowed at once, then one each second."""
    bucket = TokenBucket(60)
    assert [bucket.take(100.0) for _ in range(60)] == [0.0] * 60
    assert bucket.take(100.0) == pytest.approx(1.0)
    assert bucket.take(101.0) == 0.0
    assert bucket.take(101.0) > 0
    assert [bucket.take(1000.0) for _ in range(61)][-1] > 0


def test_without_tokens_everybody_here_is_local() -> None:
    """A worker without tokens accepts any request from this machine."""
    assert Auth({}).admit("") == "local"


async def test_the_token_beside_a_platforms_own_login(engine: EngineHandle, tmp_path: Path) -> None:
    """`X-Worker-Token` takes the place of `Authorization`, which a platform may use itself, on every kind of route."""
    (tmp_path / "app" / "handlers").mkdir(parents=True)
    options = {"comfy_api": True, "handlers": tmp_path / "app", "handlers_port": 0}
    async with worker(engine, tmp_path / "state", tokens=TOKENS, **options) as client:
        for path in ("/capabilities", "/queue", "/api/queue", "/handlers"):
            for token, status in (("wrong", 401), (ALICE, 200)):
                headers = {"X-Worker-Token": token, **bearer("of-the-platform")}
                async with client.http.get(client.app.url + path, headers=headers) as answer:
                    assert (path, answer.status) == (path, status)
