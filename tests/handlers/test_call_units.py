"""The units that a call is expected to have before it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import worker
from tests.engines import EngineHandle
from tests.handlers.apps import write_app
from tests.workflows import picture
from worker.load.call_units import MOST_SAMPLES, MOST_SHAPES, CallUnits, numbers_in

PICTURE = """
from utils.comfyui import execute_workflow


def draw(workflow, steps):
    return len(execute_workflow(workflow)["files"])
"""


def test_the_median_of_the_same_numbers_counts() -> None:
    """Calls with the same numbers decide, or else all calls of the handler. Seeds make no difference."""
    units = CallUnits()
    for seed, amount in enumerate((1.0, 9.0, 2.0)):
        units.learn("flux", {"steps": 4, "seed": seed}, amount)
    units.learn("flux", {"steps": 20}, 10.0)
    assert units.expected("flux", {"steps": 4, "noise_seed": 7}) == 2.0
    assert units.expected("flux", {"steps": 20}) == 10.0
    assert units.expected("flux", {"steps": 50}) == 5.5
    assert units.expected("other", {}) == 0.0


def test_old_calls_are_forgotten() -> None:
    """Only the last calls count, and the number of shapes is limited."""
    units = CallUnits()
    for _ in range(MOST_SAMPLES):
        units.learn("flux", {}, 100.0)
    for _ in range(MOST_SAMPLES):
        units.learn("flux", {}, 1.0)
    assert units.expected("flux", {}) == 1.0
    for width in range(MOST_SHAPES + 10):
        units.learn("flux", {"width": width}, 3.0)
    assert units.expected("flux", {"width": 0}) == units.expected("flux", {"width": -1})


def test_only_numbers_decide() -> None:
    """Texts and pictures do not affect what is expected."""
    assert numbers_in({"prompt": "x", "steps": 4, "cfg": 1.5, "loud": True, "sizes": [1]}) == {
        "steps": 4,
        "cfg": 1.5,
        "loud": True,
    }


def test_saved_units_are_restored() -> None:
    """What was saved passes through JSON. Entries of another form are left out, and the rest counts."""
    units, restored = CallUnits(), CallUnits()
    units.learn("flux", {"steps": 4}, 2.0)
    units.learn("flux", {"steps": 20, "loud": True}, 10.0)
    saved = json.loads(json.dumps(units.saved()))
    restored.restore([["other", None, "many"], ["other", None, [-1.0]], 7, *saved])
    assert restored.saved() == units.saved()
    assert restored.expected("flux", {"steps": 20, "loud": True}) == 10.0
    assert restored.expected("other", {}) == 0.0
    restored.restore({"flux": 1})
    assert restored.saved() == units.saved()


async def test_units_survive_a_restart(engine: EngineHandle, tmp_path: Path) -> None:
    """The units of a call are those of its prompts, and the next process of the worker expects them."""
    app = write_app(tmp_path / "app", picture=PICTURE)
    options = {"handlers": app, "handlers_port": 0}
    async with worker(engine, tmp_path / "state", **options) as client:
        status, body = await client.post("/handlers/draw", {"workflow": picture(), "steps": 4})
        assert (status, body) == (200, 1)
    async with worker(engine, tmp_path / "state", **options) as client:
        assert client.app.services.handlers is not None
        assert client.app.services.handlers.units.expected("draw", {"steps": 4}) > 0


async def test_a_damaged_file_is_left_out(
    engine: EngineHandle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker starts and says what it does not use."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "calls.json").write_text("[[")
    async with worker(engine, tmp_path / "state", handlers=write_app(tmp_path / "app"), handlers_port=0) as client:
        assert await client.post("/handlers/value", {"kind": "number"}) == (200, 1.5)
    assert "what was learned about calls of handlers is not used" in caplog.text
