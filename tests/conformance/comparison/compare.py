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
    differences: list[Difference] = []
    for index, (event, response) in enumerate(outcome.answers):
        place = f"{index:03} {event.request.method} {UUID.sub('<id>', event.request.path)}"
        differences += _response_differences(place, event, response, outcome.names)
    frames_by_client = _recorded_frames(transcript)
    overlaps = any(overlapping(frames) for frames in frames_by_client.values())
    for client, frames in frames_by_client.items():
        differences += _client_differences(
            f"ws {client}", (frames, outcome.frames.get(client, [])), outcome.names, overlaps=overlaps
        )
    for client, mark in outcome.missed_frames.items():
        differences.append(Difference(f"ws {client} missed a frame", mark, "<nothing>"))
    for lost in (event for event in transcript.events if isinstance(event, ConnectionLost)):
        if outcome.lost.get(lost.client) != lost.code:
            differences.append(Difference(f"ws {lost.client} lost", str(lost.code), str(outcome.lost.get(lost.client))))
    return differences


def _recorded_frames(transcript: Transcript) -> Mapping[str, list[Frame]]:
    """Return the recorded frames by client."""
    frames_by_client: dict[str, list[Frame]] = {
        event.client: [] for event in transcript.events if isinstance(event, ClientConnects)
    }
    for event in transcript.events:
        if isinstance(event, ReceivedFrame):
            frames_by_client[event.client].append(event.frame)
    return frames_by_client


def _response_differences(
    place: str, event: HttpExchange, response: RecordedResponse | None, names: ReplayNames
) -> Iterator[Difference]:
    """Compare one response."""
    recorded = event.response
    if recorded is None or response is None:
        if recorded is not response:
            yield Difference(f"{place} answered", str(recorded is not None), str(response is not None))
        return
    if recorded.status != response.status:
        body = (response.body.content or b"").decode(errors="replace")
        yield Difference(f"{place} status", str(recorded.status), f"{response.status} {body}")
        return
    for header in HEADERS:
        old, new = recorded.headers.get(header, ""), response.headers.get(header, "")
        if names.replayed(old) != new:
            yield Difference(f"{place} header {header}", old, new)
    for header in PRESENT:
        if (header in recorded.headers) != (header in response.headers):
            yield Difference(
                f"{place} header {header}", recorded.headers.get(header, "-"), response.headers.get(header, "-")
            )
    yield from _body_differences(f"{place} body", (recorded, response), names)


def _body_differences(
    place: str, pair: tuple[RecordedResponse, RecordedResponse], names: ReplayNames
) -> Iterator[Difference]:
    """Compare the bodies of two responses."""
    recorded, response = pair
    if recorded.body.content is None:
        length = _length(response)
        if abs(recorded.body.length - length) > LENGTH_TOLERANCE * recorded.body.length:
            yield Difference(f"{place} length", str(recorded.body.length), str(length))
    elif recorded.is_json and response.is_json:
        for mismatch in mismatches(expected(recorded.body.json, names), normal(response.body.json)):
            yield _difference(place, mismatch)
    elif recorded.body.content != response.body.content:
        yield from _content_difference(place, recorded.body, response.body, names)


def _length(response: RecordedResponse) -> int:
    """Return the length in bytes. JSON is measured as Python writes it, with spaces."""
    return len(json.dumps(response.body.json)) if response.is_json else response.body.length


def _content_difference(
    place: str, recorded: RecordedBody, response: RecordedBody, names: ReplayNames
) -> Iterator[Difference]:
    old, new = names.replayed(describe(recorded.content or b"")), describe(response.content or b"")
    if old != new:
        yield Difference(place, old, new)


def _client_differences(
    place: str, frames: tuple[Sequence[Frame], Sequence[Frame]], names: ReplayNames, *, overlaps: bool
) -> Iterator[Difference]:
    """Compare the frames of one client."""
    recorded, replayed = frames
    partly = partial(recorded)
    old = arranged(recorded, partly, statuses=not overlaps)
    new = arranged(replayed, {names.replayed(prompt) for prompt in partly}, statuses=not overlaps)
    yield from _order_difference(place, [entry.key for entry in old], [entry.key for entry in new])
    if overlaps and _statuses(recorded) != _statuses(replayed):
        yield Difference(f"{place} statuses", str(_statuses(recorded)), str(_statuses(replayed)))
    if len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            yield from _data_differences(f"{place} {before.key}", before, after, names)


def _order_difference(place: str, old: list[str], new: list[str]) -> Iterator[Difference]:
    """Yield a difference for the first frame at which two sequences differ."""
    if old == new:
        return
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    around = slice(max(0, at - CONTEXT), at + CONTEXT)
    yield Difference(f"{place} order at {at}", " | ".join(old[around]), " | ".join(new[around]))


def _data_differences(place: str, before: FrameEntry, after: FrameEntry, names: ReplayNames) -> Iterator[Difference]:
    """Compare the data of two frames with the same key."""
    if before.key != after.key:
        return
    for mismatch in mismatches(expected(before.data, names), normal(after.data)):
        yield _difference(place, mismatch)


def _statuses(frames: Sequence[Frame]) -> tuple[int, Json]:
    """Return the number of status frames, and the content of the last one."""
    statuses = [frame for frame in frames if isinstance(frame, TextFrame) and frame.kind == "status"]
    return len(statuses), statuses[-1].data["status"] if statuses else None


def _difference(place: str, mismatch: Mismatch) -> Difference:
    where = UUID.sub("<id>", mismatch.place)
    return Difference(f"{place} {where} {mismatch.kind}", str(mismatch.recorded), str(mismatch.replayed))
