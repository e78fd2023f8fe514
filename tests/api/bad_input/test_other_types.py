"""Valid bodies with one value of another JSON type are rejected or run, and never get a 5xx response."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.bad_input.bodies import OTHER_VALUES, places, renamed, swapped, valid_bodies
from tests.conftest import worker
from tests.engines import EngineHandle

KEYS = ("²", "٣", "9" * 5000, "", "__proto__", "画" * 84, "a\0b", "nodes", "links", "class_type", "input", "payload")
BODIES = valid_bodies()


@st.composite
def changed_bodies(draw: st.DrawFn) -> tuple[str, Any]:
    """Draw the form of a body, and the body with one to three other values or keys."""
    form = draw(st.sampled_from(sorted(BODIES)))
    body: Any = BODIES[form]
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(places(body))))
        if place and isinstance(place[-1], str) and draw(st.booleans()):
            body = renamed(body, place, draw(st.sampled_from(KEYS)))
        else:
            body = swapped(body, place, draw(st.sampled_from(OTHER_VALUES)))
    return form, body


def test_another_type_at_each_place(engine: EngineHandle, tmp_path: Path) -> None:
    """Every route returns a status below 500 for a body with a wrong value, and completed jobs can be read."""

    async def ask(bodies: list[Any]) -> None:
        async with worker(engine, tmp_path) as client:
            for body in bodies:
                for path in ("/generate/sync", "/validate", "/convert"):
                    status, answer = await answered(client.http, client.app.url + path, body)
                    assert status < 500, (path, body, answer)

    bodies: list[Any] = []

    @settings(max_examples=150, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(changed_bodies())
    def collect(changed: tuple[str, Any]) -> None:
        bodies.append(changed[1])

    collect()
    asyncio.run(ask(bodies))


async def answered(http: aiohttp.ClientSession, url: str, body: object) -> tuple[int, Any]:
    async with http.post(url, data=json.dumps(body)) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    "name", ["{a|b", "{}", "", "²", "a/../b", "..", "%2e", "画" * 3_000, "x" * 9_000, "a\0b"], ids=lambda name: name[:8]
)
def test_classes_with_odd_names(engine: EngineHandle, tmp_path: Path, name: str) -> None:
    """A class whose name cannot be part of a URL is reported as unknown."""

    async def ask() -> None:
        async with worker(engine, tmp_path) as client:
            workflow = {**BODIES["comfyui"]["prompt"], "9": {"class_type": name, "inputs": {}}}
            assert (await answered(client.http, client.app.url + "/validate", {"workflow": workflow}))[0] == 200
            status, answer = await answered(client.http, client.app.url + "/generate/sync", {"workflow": workflow})
            assert (status, answer["error"]["code"]) == (422, "invalid_workflow")

    asyncio.run(ask())
