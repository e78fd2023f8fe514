"""Replay of each recorded session of a real ComfyUI on an engine, by default the embedded one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.conformance.comparison.compare import compare
from tests.conformance.comparison.differences import ON_PURPOSE, kept
from tests.conformance.recorded.facts import DATA, EXCERPTS, excerpt
from tests.conformance.recorded.recording import FOLDER, load
from tests.conformance.replaying.engines import EMBEDDED, EngineUnderTest
from tests.conformance.replaying.missing_history import NOTES_ONLY, count_missing_history
from tests.conformance.replaying.props import FLAGS
from tests.conformance.replaying.replay import SessionReplay

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(240)]

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
COMMAND = os.environ.get("CONFORMANCE_ENGINE", EMBEDDED)
"""The command that starts the engine, with {port} and {base}. A real ComfyUI needs `--base-directory {base}`."""
CATALOG = SHARED / "object_info-0.33.0.json"
"""The recorded server's response to GET /object_info. It is of a later commit of 0.33.0 than the image's."""
OPTIONS = ("--catalog", str(CATALOG)) if COMMAND == EMBEDDED else ()
PATIENCE_S = float(os.environ.get("CONFORMANCE_PATIENCE", "10"))

SCENARIOS = (
    "01-success-one-image",
    "02-all-cached",
    "03-batch-of-4",
    "04-two-saves-and-preview",
    "05-video",
    "06-animated",
    "07-audio",
    "08-validation-errors",
    "09-execution-errors",
    "10-interrupt",
    "11-queue-delete-clear",
    "12-two-clients",
    "13-ws-reconnect",
    "13b-history-race",
    "13c-history-race-300",
    "13d-history-race-4x300",
    "14-view",
    "15-upload",
    "16-history",
    "17-sigkill-mid-job",
    "17b-sigterm-mid-job",
    "17c-sigint-mid-job",
    "18-free",
    "19-same-prompt-id",
    "19b-worker-death",
    "20-fifty-queued",
    "21-other-ui",
    "22-sampler-previews",
    "23-submit-options",
    "24-misc-routes",
    "25-res4lyf-stock",
    "26-res4lyf-clownshark",
    "27-order-http-vs-ws",
    "28-jobs-cancel",
    "29-cache-big-ram",
    "30-new-routes",
    "31-assets-enabled",
    "32-node-replacement",
)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in NOTES_ONLY])
async def test_replays_as_recorded(name: str, tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """An engine behaves as recorded, except for known differences."""
    transcript = load(SHARED / FOLDER / f"{name}.json")
    async with EngineUnderTest(COMMAND, tmp_path, (*OPTIONS, *FLAGS.get(name, ()))) as engine:
        outcome = await SessionReplay(transcript, engine, session, PATIENCE_S).run()
    differences = compare(transcript, outcome)
    unknown = [each for each in differences if not kept(name, each.place, embedded=COMMAND == EMBEDDED)]
    assert not unknown, "\n" + "\n".join(map(str, unknown))


@pytest.mark.parametrize("name", sorted(NOTES_ONLY))
async def test_history_exists_at_the_end_of_the_prompt(
    name: str, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """The history entry may be missing at `execution_success`, but never at the end of the prompt."""
    assert not load(SHARED / FOLDER / f"{name}.json").events[:-1], "this recording has events to replay"
    async with EngineUnderTest(COMMAND, tmp_path, OPTIONS) as engine:
        early, late = await count_missing_history(engine, session)
    assert late == 0, f"{late} missing at the end, {early} at execution_success"


@pytest.mark.parametrize("name", EXCERPTS)
def test_committed_frames_equal_the_recordings(name: str) -> None:
    """The committed frames in tests/data are equal to those of the recordings."""
    assert orjson.loads((DATA / f"frames-{name}.json").read_bytes()) == excerpt(SHARED / FOLDER, name)


def test_intended_differences_are_documented() -> None:
    """The page about the engine has the reason of every intended difference, word for word."""
    error_types = (Path(__file__).parents[2] / "docs" / "embedded-engine.md").read_text()
    assert not [entry.reason for entry in ON_PURPOSE if entry.reason not in " ".join(error_types.split())]
