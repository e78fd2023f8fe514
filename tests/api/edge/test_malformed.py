"""Malformed requests cannot fill the log."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest
from aiohttp.http_exceptions import BadStatusLine, LineTooLong

from tests.api.edge.garbage import GARBAGE, MARK, send
from tests.api.edge.raw_request import sent
from tests.cli.commands.test_serve import serving
from tests.conftest import Client
from tests.engines import EngineHandle
from worker.api.edge.malformed import LINES, MalformedRequests
from worker.api.services import json_response


@pytest.mark.timeout(240)
async def test_a_flood_is_a_few_lines(engine: EngineHandle, tmp_path: Path) -> None:
    """Each logged line is short and contains nothing of the request.

    Suppressed lines are counted, also when the worker ends.
    """
    flood = GARBAGE * 12
    async with serving("--comfyui", engine.url, cwd=tmp_path) as (process, said):
        async with asyncio.timeout(60):
            await send(int(said.rsplit(":", 1)[1]), flood)
            process.terminate()
            assert process.stderr is not None
            lines = (await process.stderr.read()).decode().splitlines()
    text = "\n".join(lines)
    assert "Traceback" not in text
    assert MARK.decode() not in text
    short = [line for line in lines if "malformed request from 127.0.0.1: " in line]
    assert len(short) == LINES
    assert f"malformed requests: {len(flood) - LINES} more" in text
    assert all(len(line) < 200 and line.isprintable() for line in lines)


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "multipart/form-data; boundary\xb3=\xff"])
@pytest.mark.parametrize("path", ["/convert", "/generate"])
async def test_a_form_that_is_none_is_the_clients_fault(client: Client, path: str, kind: str) -> None:
    """Invalid headers of a part and a content type with invalid UTF-8 get a readable error."""
    own = client.app.url.removeprefix("http://")
    body = b"--b\r\nBad\x01 Header\xff: y\r\n\r\nx\r\n--b--\r\n"
    answer = await sent(client, path, f"Host: {own}", f"Content-Type: {kind}", body=body)
    assert answer.status in {400, 422}
    assert json.loads(answer.body)["error"]["fault"] == "client"


def test_an_error_may_repeat_any_bytes() -> None:
    """Bytes of a header that are not UTF-8 are replaced in the message, so that the response is JSON."""
    answer = json_response({"message": "no \udcff here", "number": 2**70}, 400)
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body) == {"message": "no ? here", "number": 2**70}


def recorded(error: Exception, level: int = logging.ERROR) -> logging.LogRecord:
    """Return the records of the log."""
    information = (type(error), error, None)
    return logging.LogRecord("aiohttp.server", level, "", 1, "Error handling %s", ("::1",), information)


async def test_other_errors_keep_their_traceback() -> None:
    """Other errors are logged with their traceback, and debug records keep their level."""
    requests = MalformedRequests()
    bug = recorded(KeyError("x"))
    assert requests.filter(bug)
    assert (bug.exc_info is not None, bug.getMessage()) == (True, "Error handling ::1")
    assert not requests.filter(recorded(KeyError("x"), logging.DEBUG))
    noise = recorded(BadStatusLine("GET \x1b secret"), logging.DEBUG)
    assert requests.filter(noise)
    assert (noise.exc_info, noise.levelname) == (None, "WARNING")
    assert noise.getMessage() == "malformed request from ::1: BadStatusLine"
    requests.end_window()


async def test_a_window_ends_with_a_number(caplog: pytest.LogCaptureFixture) -> None:
    """At the end of a window the number of suppressed lines is logged, without another request."""
    requests = MalformedRequests(lines=2, window_s=0.05)
    assert [requests.filter(recorded(LineTooLong("x", 1))) for _ in range(5)] == [True, True, False, False, False]
    async with asyncio.timeout(60):
        while not caplog.messages:
            await asyncio.sleep(0.01)
    assert caplog.messages == ["malformed requests: 3 more in 0.05 s were not logged"]
    assert requests.filter(recorded(LineTooLong("x", 1)))
    requests.end_window()
    assert len(caplog.messages) == 1
