"""Webhooks are signed, repeated on failure, and do not delay jobs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import logging
import time
from pathlib import Path

import orjson
import pytest
from PIL import Image
from pydantic import SecretStr
from standardwebhooks import Webhook as Verifier

from tests.api.test_jobs import leave_early
from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.observers.receiver import Receiver, receiver
from tests.workflows import failing, picture, slow
from worker.errors import StartupError
from worker.settings import Settings

SECRET = "whsec_" + base64.b64encode(b"client's own key, 24 bytes").decode()
OPERATORS = "whsec_" + base64.b64encode(b"the operator's own key here").decode()


def with_webhook(server: Receiver, **more: object) -> dict:
    """Return a request with a webhook."""
    return {"workflow": picture(), "webhook": {"url": server.url, "secret": SECRET}, **more}


async def test_success_is_told_and_signed(engine: EngineHandle, tmp_path: Path) -> None:
    """The message of a completed job is the response of the synchronous route, with a valid signature."""
    async with receiver() as server, worker(engine, tmp_path, fetch_allow=server.opened) as client:
        status, answered = await client.post("/generate/sync", with_webhook(server))
        [message] = await server.messages(1)
        assert status == 200
        assert Verifier(SECRET).verify(message.body, message.headers) == message.json
        assert (message.json["type"], message.json["data"]) == ("job.completed", answered)
        assert "x-webhook-signature" not in message.headers


async def test_a_changed_message_does_not_verify(engine: EngineHandle, tmp_path: Path) -> None:
    """A changed body fails the check of the signature."""
    async with receiver() as server, worker(engine, tmp_path, fetch_allow=server.opened) as client:
        await client.post("/generate/sync", with_webhook(server))
        [message] = await server.messages(1)
        with pytest.raises(Exception, match="No matching signature"):
            Verifier(SECRET).verify(message.body + b" ", message.headers)


async def test_a_message_may_be_large(engine: EngineHandle, tmp_path: Path) -> None:
    """A message contains the inline files of the response, whatever their size."""
    noise = io.BytesIO()
    Image.effect_noise((1200, 1200), 90).save(noise, "PNG")
    workflow = picture()
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "noise.png"}}
    async with receiver() as server, worker(engine, tmp_path, fetch_allow=server.opened) as client:
        inputs = {"noise.png": base64.b64encode(noise.getvalue()).decode()}
        body = io.BytesIO(orjson.dumps(with_webhook(server, workflow=workflow, inputs=inputs)))
        async with client.http.post(client.app.url + "/generate/sync", data=body) as answer:
            answered = await answer.json()
        [message] = await server.messages(1)
        assert len(message.body) > 1024 * 1024
        assert message.json["data"] == answered
        Verifier(SECRET).verify(message.body, message.headers)


async def test_failure_and_cancellation_are_told(engine: EngineHandle, tmp_path: Path) -> None:
    """Failed and cancelled jobs send a message."""
    async with receiver() as server, worker(engine, tmp_path, fetch_allow=server.opened) as client:
        await client.post("/generate/sync", with_webhook(server, workflow=failing()))
        _, job = await client.post("/generate", with_webhook(server, workflow=slow(30, steps=300)))
        await client.state(job, "generating")
        await client.delete(f"/jobs/{job['id']}", job["token"])
        failed, cancelled = (message.json for message in await server.messages(2))
        assert (failed["type"], failed["data"]["error"]["code"]) == ("job.failed", "node_failed")
        assert (cancelled["type"], cancelled["data"]["error"]["code"]) == ("job.cancelled", "cancelled")


async def test_the_stock_templates_message(engine: EngineHandle, tmp_path: Path) -> None:
    """Body and signature in the vast dialect are those of Vast's stock template."""
    async with receiver() as server, worker(engine, tmp_path, fetch_allow=server.opened) as client:
        webhook = {"url": server.url, "extra_params": {"order": 7}, "secret": "any text", "timeout": 30}
        _, answered = await client.post(
            "/generate/sync", {"input": {"workflow_json": picture(), "request_id": "r-1", "webhook": webhook}}
        )
        [message] = await server.messages(1)
        assert set(message.json) == {"id", "status", "message", "output", "timings", "extra"}
        assert (message.json["id"], message.json["extra"]) == ("r-1", {"order": 7})
        assert message.json["output"] == answered["output"]
        expected = hmac.new(b"any text", message.body, hashlib.sha256).hexdigest()
        assert message.headers["x-webhook-signature"] == f"sha256={expected}"
        Verifier(b"any text").verify(message.body, message.headers)


async def test_the_operators_secret_signs_where_the_client_names_none(engine: EngineHandle, tmp_path: Path) -> None:
    """A request without a secret is signed with the operator's. Without any secret there is no signature."""
    async with receiver() as server:
        webhook = {"workflow": picture(), "webhook": {"url": server.url}}
        signing = {"fetch_allow": server.opened, "webhook_secret": SecretStr(OPERATORS)}
        async with worker(engine, tmp_path / "a", **signing) as client:
            await client.post("/generate/sync", webhook)
        async with worker(engine, tmp_path / "b", fetch_allow=server.opened) as client:
            await client.post("/generate/sync", webhook)
        signed, unsigned = await server.messages(2)
        Verifier(OPERATORS).verify(signed.body, signed.headers)
        assert "webhook-signature" not in unsigned.headers


async def test_it_is_sent_again_until_it_is_heard(engine: EngineHandle, tmp_path: Path) -> None:
    """A message is repeated after a 500, a redirect and a timeout, with the same id."""
    settings = {"webhook_pause_s": 0.05, "webhook_timeout_s": 0.5, "webhook_tries": 4}
    async with receiver(statuses=[500, 302], hangs=1) as server:
        async with worker(engine, tmp_path, fetch_allow=server.opened, **settings) as client:
            await client.post("/generate/sync", with_webhook(server))
            messages = await server.messages(4)
        assert len({message.headers["webhook-id"] for message in messages}) == 1
        assert len({message.body for message in messages}) == 1
        for message in messages:
            Verifier(SECRET).verify(message.body, message.headers)
        await asyncio.sleep(0.3)
        assert len(server.heard) == 4


async def test_it_is_given_up_after_so_many_tries(
    engine: EngineHandle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After WORKER_WEBHOOK_TRIES attempts the worker gives up. URL and key are not logged."""
    caplog.set_level(logging.DEBUG)
    async with receiver(statuses=[500] * 9) as server:
        settings = {"webhook_pause_s": 0.02, "webhook_tries": 3}
        async with worker(engine, tmp_path, fetch_allow=server.opened, **settings) as client:
            await client.post("/generate/sync", with_webhook(server))
            await server.messages(3)
        assert len(server.heard) == 3
    assert "gave up after 3 attempts" in caplog.text
    assert "url-secret" not in caplog.text
    assert SECRET not in caplog.text


async def test_a_receiver_that_wants_no_more_gets_no_more(engine: EngineHandle, tmp_path: Path) -> None:
    """A 410 response ends the attempts."""
    async with receiver(statuses=[410]) as server:
        async with worker(engine, tmp_path, fetch_allow=server.opened, webhook_pause_s=0.01) as client:
            await client.post("/generate/sync", with_webhook(server))
            await server.messages(1)
            await asyncio.sleep(0.2)
        assert len(server.heard) == 1


async def test_a_deaf_receiver_delays_nobody(engine: EngineHandle, tmp_path: Path) -> None:
    """A receiver that does not respond delays neither the response nor other jobs."""
    settings = {"webhook_timeout_s": 1.5, "webhook_tries": 1}
    async with (
        receiver(hangs=99) as server,
        worker(engine, tmp_path, fetch_allow=server.opened, **settings) as client,
    ):
        started = time.monotonic()
        for _ in range(6):
            assert (await client.post("/generate/sync", with_webhook(server)))[0] == 200
        assert time.monotonic() - started < 8
        await server.messages(4)


async def test_hanging_up_does_not_cancel_a_job_with_a_webhook(engine: EngineHandle, tmp_path: Path) -> None:
    """A job with a webhook continues after its client has disconnected."""
    async with receiver() as server, worker(engine, tmp_path, fetch_allow=server.opened, hangup_grace_s=0.1) as client:
        await leave_early(client, with_webhook(server, workflow=slow(0.8)))
        [message] = await server.messages(1)
        assert message.json["type"] == "job.completed"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1/x", "url_refused"),
        ("http://169.254.169.254/latest", "url_refused"),
        ("http://[::1]/x", "url_refused"),
        ("http://localhost/x", "url_refused"),
        ("file:///etc/passwd", "url_refused"),
        ("https://example.com:22/x", "url_refused"),
        ("not a url", "url_refused"),
    ],
)
async def test_addresses_that_are_not_the_internets_are_refused(client: Client, url: str, code: str) -> None:
    """An internal URL is rejected before the job, in both dialects."""
    for body in (
        {"workflow": picture(), "webhook": {"url": url}},
        {"input": {"workflow_json": picture(), "webhook": {"url": url}}},
    ):
        status, answered = await client.post("/generate/sync", body)
        assert (status, answered["error"]["code"]) == (400, code)
    assert client.app.manager.admission.load.jobs == 0


async def test_a_secret_that_can_not_sign_is_refused(client: Client) -> None:
    """An invalid secret is rejected, and the error does not contain it."""
    status, body = await client.post(
        "/generate/sync", {"workflow": picture(), "webhook": {"url": "https://example.com", "secret": "whsec_%%%"}}
    )
    assert (status, body["error"]["code"]) == (400, "invalid_field")
    assert "%%%" not in str(body)


async def test_an_operators_secret_that_can_not_sign_ends_the_start(engine: EngineHandle, tmp_path: Path) -> None:
    """An invalid WORKER_WEBHOOK_SECRET stops the start."""
    with pytest.raises(StartupError, match="WORKER_WEBHOOK_SECRET"):
        async with worker(engine, tmp_path, webhook_secret=SecretStr("whsec_%")):
            pass
    assert "%" not in repr(Settings.of(webhook_secret=SecretStr("whsec_%")).webhooks.secret)
