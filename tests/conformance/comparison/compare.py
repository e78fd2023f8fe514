"""Comparison of a replay with its recording."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.conformance.comparison.frames import FrameEntry, arranged, overlapping, partial
from tests.conformance.comparison.media import describe
from tests.conformance.comparison.names import ReplayNames
from tests.conformance.comparison.normal import Mismatch, expected, mismatches, normal
from tests.conformance.recorded.transcript import (
    ClientConnects,
    ConnectionLost,
    Frame,
    HttpExchange,
    ReceivedFrame,
    RecordedBody,
    RecordedResponse,
    TextFrame,
    Transcript,
)
from tests.conformance.replaying.replay import ReplayOutcome
from worker.workflow.json_value import Json

HEADERS = (
    "content-type",
    "content-disposition",
    "content-range",
    "accept-ranges",
    "vary",
    "cache-control",
    "allow",
    "x-content-type-options",
)
PRESENT = ("etag", "last-modified")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LENGTH_TOLERANCE = 0.02
CONTEXT = 4


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `place` names the request or the client, and the part of its response or frames, without ids."""

    place: str
    recorded: str
    replayed: str

    def __str__(self) -> str:
        return f"{self.place}\n    recorded: {self.recorded[:400]}\n    replayed: {self.replayed[:400]}"


def compare(transcript: Transcript, outcome: ReplayOutcome) -> list[Difference]:
    """Return every difference: first those of the responses, then those of each client's frames."""
    found: list[Difference] = []
    for index, (event, answer) in enumerate(outcome.answers):
        place = f"{index:03} {event.request.method} {UUID.sub('<id>', event.request.path)}"
        found += _answer(place, event, answer, outcome.names)
    heard = _heard(transcript)
    crowded = any(overlapping(frames) for frames in heard.values())
    for client, frames in heard.items():
        found += _client(f"ws {client}", (frames, outcome.frames.get(client, [])), outcome.names, crowded=crowded)
    for client, mark in outcome.missed_frames.items():
        found.append(Difference(f"ws {client} waited in vain", mark, "<nothing>"))
    for lost in (event for event in transcript.events if isinstance(event, ConnectionLost)):
        if outcome.lost.get(lost.client) != lost.code:
            found.append(Difference(f"ws {lost.client} lost", str(lost.code), str(outcome.lost.get(lost.client))))
    return found


def _heard(transcript: Transcript) -> Mapping[str, list[Frame]]:
    """Return the recorded frames by client."""
    heard: dict[str, list[Frame]] = {
        event.client: [] for event in transcript.events if isinstance(event, ClientConnects)
    }
    for event in transcript.events:
        if isinstance(event, ReceivedFrame):
            heard[event.client].append(event.frame)
    return heard


def _answer(
    place: str, event: HttpExchange, answer: RecordedResponse | None, names: ReplayNames
) -> Iterator[Difference]:
    """Compare one response."""
    recorded = event.response
    if recorded is None or answer is None:
        if recorded is not answer:
            yield Difference(f"{place} answered", str(recorded is not None), str(answer is not None))
        return
    if recorded.status != answer.status:
        body = (answer.body.content or b"").decode(errors="replace")
        yield Difference(f"{place} status", str(recorded.status), f"{answer.status} {body}")
        return
    for header in HEADERS:
        old, new = recorded.headers.get(header, ""), answer.headers.get(header, "")
        if names.replayed(old) != new:
            yield Difference(f"{place} header {header}", old, new)
    for header in PRESENT:
        if (header in recorded.headers) != (header in answer.headers):
            yield Difference(
                f"{place} header {header}", recorded.headers.get(header, "-"), answer.headers.get(header, "-")
            )
    yield from _body(f"{place} body", (recorded, answer), names)


def _body(place: str, pair: tuple[RecordedResponse, RecordedResponse], names: ReplayNames) -> Iterator[Difference]:
    """Compare the bodies of two responses."""
    recorded, answer = pair
    if recorded.body.content is None:
        length = _length(answer)
        if abs(recorded.body.length - length) > LENGTH_TOLERANCE * recorded.body.length:
            yield Difference(f"{place} length", str(recorded.body.length), str(length))
    elif recorded.is_json and answer.is_json:
        for found in mismatches(expected(recorded.body.json, names), normal(answer.body.json)):
            yield _difference(place, found)
    elif recorded.body.content != answer.body.content:
        yield from _content(place, recorded.body, answer.body, names)


def _length(answer: RecordedResponse) -> int:
    """Return the length in bytes. JSON is measured as Python writes it, with spaces."""
    return len(json.dumps(answer.body.json)) if answer.is_json else answer.body.length


def _content(place: str, recorded: RecordedBody, answer: RecordedBody, names: ReplayNames) -> Iterator[Difference]:
    old, new = names.replayed(describe(recorded.content or b"")), describe(answer.content or b"")
    if old != new:
        yield Difference(place, old, new)


def _client(
    place: str, heard: tuple[Sequence[Frame], Sequence[Frame]], names: ReplayNames, *, crowded: bool
) -> Iterator[Difference]:
    """Compare the frames of one client."""
    recorded, replayed = heard
    partly = partial(recorded)
    old = arranged(recorded, partly, statuses=not crowded)
    new = arranged(replayed, {names.replayed(prompt) for prompt in partly}, statuses=not crowded)
    yield from _order(place, [entry.key for entry in old], [entry.key for entry in new])
    if crowded and _statuses(recorded) != _statuses(replayed):
        yield Difference(f"{place} statuses", str(_statuses(recorded)), str(_statuses(replayed)))
    if len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            yield from _carried(f"{place} {before.key}", before, after, names)


def _order(place: str, old: list[str], new: list[str]) -> Iterator[Difference]:
    """Yield a difference for the first frame at which two sequences differ."""
    if old == new:
        return
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    around = slice(max(0, at - CONTEXT), at + CONTEXT)
    yield Difference(f"{place} order at {at}", " | ".join(old[around]), " | ".join(new[around]))


def _carried(place: str, before: FrameEntry, after: FrameEntry, names: ReplayNames) -> Iterator[Difference]:
    """Compare the data of two frames with the same key."""
    if before.key != after.key:
        return
    for found in mismatches(expected(before.data, names), normal(after.data)):
        yield _difference(place, found)


def _statuses(frames: Sequence[Frame]) -> tuple[int, Json]:
    """Return the number of status frames, and the content of the last one."""
    statuses = [frame for frame in frames if isinstance(frame, TextFrame) and frame.kind == "status"]
    return len(statuses), statuses[-1].data["status"] if statuses else None


def _difference(place: str, found: Mismatch) -> Difference:
    where = UUID.sub("<id>", found.place)
    return Difference(f"{place} {where} {found.kind}", str(found.recorded), str(found.replayed))
