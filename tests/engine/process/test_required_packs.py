"""Tests of the check for classes that an image build could not prove."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tests.node_packs import comfyui_folder
from worker.app import build
from worker.engine.process.required_packs import RECORD, missing_class_messages, needed_classes
from worker.node_packs import sources
from worker.settings import Settings


def test_the_record_is_the_one_that_the_build_leaves() -> None:
    """The worker and the image build use the same file name."""
    assert RECORD == sources.RECORD


def test_a_pack_without_its_classes_is_named(tmp_path: Path) -> None:
    """`missing_class_messages` names a pack without its classes, and nothing without a build's record."""
    assert needed_classes(tmp_path) == {}
    (tmp_path / RECORD).write_text(json.dumps({"One": {"needs": ["A", "B b"]}, "Two": {"needs": []}, "Three": {}}))
    assert list(missing_class_messages(needed_classes(tmp_path), {"A": 1})) == [
        "node pack One lacks B b: see ComfyUI's log for its import"
    ]


async def test_a_worker_says_at_its_start_what_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A worker logs missing classes as errors at its start and goes on."""
    folder = comfyui_folder.write(tmp_path / "ComfyUI", ["One"], "", classes={"ImageInvert": None})
    (folder / RECORD).write_text(json.dumps({"One": {"needs": ["ImageInvert", "ImageScale"]}}))
    settings = Settings.of(
        comfyui=str(folder),
        comfyui_args="--cpu",
        state=tmp_path / "state",
        port=0,
    )
    with caplog.at_level(logging.ERROR, "worker.app"):
        async with build(settings) as app:
            await app.ready()
    assert [record.getMessage() for record in caplog.records if record.name == "worker.app"] == [
        "node pack One lacks ImageInvert: see ComfyUI's log for its import"
    ]
