"""The handful of frame sequences that the tests need without the recordings: taken from them, reduced to facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.conformance.comparison.frames import arranged, overlapping, partial
from tests.conformance.recorded.recording import load
from tests.conformance.recorded.transcript import ClientConnects, ClientSends, Frame, HttpExchange, ReceivedFrame
from worker.workflow.json_value import Json, JsonObject

DATA = Path(__file__).parents[2] / "data"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The first `posts` prompts of a recording, with the frames of its clients up to the next prompt."""

    scenario: str
    posts: int


EXCERPTS = {
    "success": Excerpt("01-success-one-image", 1),
    "cached": Excerpt("02-all-cached", 4),
    "error": Excerpt("09-execution-errors", 2),
    "interrupt": Excerpt("10-interrupt", 2),
    "addressing": Excerpt("12-two-clients", 2),
    "sampling": Excerpt("26-res4lyf-clownshark", 2),
}


def excerpt(folder: Path, name: str) -> JsonObject:
    """Return `{"recorded": scenario, "clients": {name: has flags}, "posts": [body], "frames": {client: [fact]}}`.

    Raises FileNotFoundError when the recording is missing.
    """
    chosen = EXCERPTS[name]
    clients: JsonObject = {}
    posts: list[Json] = []
    frames: dict[str, list[Frame]] = {}
    for event in load(folder / f"{chosen.scenario}.json").events:
        if isinstance(event, HttpExchange) and event.request.posts_prompt:
            if len(posts) == chosen.posts:
                break
            posts.append(event.request.json)
        elif isinstance(event, ClientConnects):
            clients[event.client] = False
        elif isinstance(event, ClientSends):
            clients[event.client] = True
        elif isinstance(event, ReceivedFrame):
            frames.setdefault(event.client, []).append(event.frame)
    return {"recorded": chosen.scenario, "clients": clients, "posts": posts, "frames": facts(frames)}


def facts(frames_by_client: Mapping[str, Sequence[Frame]]) -> JsonObject:
    """Return each client's frames by kind and node, in an order that does not depend on chance."""
    crowded = any(overlapping(frames) for frames in frames_by_client.values())
    return {
        client: [entry.key for entry in arranged(frames, partial(frames), statuses=not crowded)]
        for client, frames in frames_by_client.items()
    }


def write(folder: Path) -> None:
    """Write the committed files from the recordings in a folder."""
    for name in EXCERPTS:
        text = orjson.dumps(excerpt(folder, name), option=orjson.OPT_APPEND_NEWLINE)
        (DATA / f"frames-{name}.json").write_bytes(text)
