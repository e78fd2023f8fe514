"""Outputs that a browser could run are sent with headers that prevent it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Client, bearer
from tests.engines import EngineHandle
from tests.workflows import Workflow, picture
from worker.api.responses import file_headers
from worker.job import Output

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><script>document.title="ran"</script></svg>'
PAGE = b"<!doctype html><title>page</title><script>document.title='ran'</script>"
FILES = {"drawing.svg": SVG, "page.html": PAGE}


def reporting_job(engine: EngineHandle, folder: str, files: dict[str, bytes]) -> Workflow:
    """Return a job that saves an image, and reports these files and a text that looks like a page."""
    where = Path(engine.output) / folder
    where.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (where / name).write_bytes(content)
    listed = [{"filename": name, "subfolder": folder, "type": "output"} for name in files]
    reported = json.dumps({"images": listed, "text": [PAGE.decode()]})
    return picture() | {"9": {"class_type": "EmbeddedReport", "inputs": {"json": reported}}}


def has_safe_headers(headers: Any, kind: str = "") -> bool:
    """Return whether the headers prevent running and loading, and have this disposition."""
    policy = [part.strip() for part in headers.get("Content-Security-Policy", "").split(";")]
    disposition = headers.get("Content-Disposition", "").split(";")[0]
    safe = headers.get("X-Content-Type-Options") == "nosniff" and {"sandbox", "default-src 'none'"} <= {*policy}
    return safe and disposition == kind


async def test_every_answer_with_a_jobs_bytes_is_harmless(client: Client, engine: EngineHandle) -> None:
    """Files, texts, raw responses, JSON, errors and events have the headers."""
    url = client.app.url
    body = {"workflow": reporting_job(engine, "active", FILES), "id": "active", "output_format": "url"}
    async with client.http.post(f"{url}/generate/sync", json=body) as answer:
        job = await answer.json()
        assert has_safe_headers(answer.headers)
    seen = {}
    for output in job["outputs"]:
        async with client.http.get(
            f"{url}/jobs/active/outputs/{output['index']}?token={job['image'].split('=')[1]}"
        ) as answer:
            content, kind = await answer.read(), answer.headers["Content-Type"].split(";")[0]
            seen[output["filename"] or "text"] = kind
            saved = kind in {"image/svg+xml", "text/html"}
            assert has_safe_headers(answer.headers, "attachment" if saved else "inline"), output
            assert content == FILES.get(output["filename"], content)
    assert {"drawing.svg": "image/svg+xml", "page.html": "text/html", "text": "text/plain"}.items() <= seen.items()


async def test_raw_answers_and_events_are_harmless(client: Client, engine: EngineHandle) -> None:
    """Raw files, ranges, events and 404 responses have the headers."""
    url, body = client.app.url, {"workflow": reporting_job(engine, "raw", {"a.svg": SVG})}
    for accept, kind in (
        ("image/svg+xml", "attachment"),
        ("image/png", "inline"),
        ("application/octet-stream", "inline"),
    ):
        async with client.http.post(f"{url}/generate/sync", json=body, headers={"Accept": accept}) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, accept)
            assert has_safe_headers(answer.headers, kind)
            token, job = answer.headers["X-Job-Token"], answer.headers["X-Job-Id"]
            index = answer.headers["X-Output-Index"]
    for path, kind in (
        (f"/jobs/{job}", ""),
        (f"/jobs/{job}/events", "inline"),
        (f"/result/{job}", ""),
        ("/jobs/none", ""),
        (f"/jobs/{job}/outputs/77", ""),
    ):
        async with client.http.get(url + path, headers=bearer(token)) as answer:
            assert has_safe_headers(answer.headers, kind), path
    ranged = bearer(token) | {"Range": "bytes=0-3"}
    async with client.http.get(f"{url}/jobs/{job}/outputs/{index}", headers=ranged) as answer:
        assert answer.status == 206
        is_image = answer.headers["Content-Type"] == "image/png"
        assert has_safe_headers(answer.headers, "inline" if is_image else "attachment")


@pytest.mark.parametrize(
    ("mime", "disposition"),
    [
        ("text/html", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xml", "attachment"),
        ("TEXT/HTML; charset=utf-8", "attachment"),
        ("text/javascript", "attachment"),
        ("application/x-shockwave-flash", "attachment"),
        ("image/png", "inline"),
        ("video/mp4", "inline"),
        ("text/plain", "inline"),
    ],
)
def test_what_a_browser_runs_is_saved(mime: str, disposition: str) -> None:
    """Types that a browser runs are `attachment`, and others `inline`."""
    headers = file_headers(Output(0, "9", "file", "a", mime=mime, size=1), mime)
    assert headers["Content-Disposition"] == f'{disposition}; filename="a"'
