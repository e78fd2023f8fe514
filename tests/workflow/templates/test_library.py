"""Folders of templates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.errors import StartupError
from worker.workflow.templates.library import read_library

WORKFLOW = {"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}, "_meta": {"title": "Save"}}}
TOML = 'title = "{title}"\nabout = "A."\noutputs = ["Save"]\n'


def put(folder: Path, name: str, toml: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(WORKFLOW))
    (folder / f"{name}.toml").write_text(toml)


def test_a_later_folder_wins(tmp_path: Path) -> None:
    """One's own templates stand beside the shipped ones, or take their place."""
    put(tmp_path / "a", "mine", TOML.format(title="first"))
    put(tmp_path / "b", "mine", TOML.format(title="second"))
    (tmp_path / "b" / "plain.json").write_text(json.dumps(WORKFLOW))
    found = read_library(f"shipped, {tmp_path / 'a'}, {tmp_path / 'b'}")
    assert found["mine"].title == "second"
    assert "sd15-res4lyf" in found
    assert "plain" not in found
    assert list(read_library(str(tmp_path / "a"))) == ["mine"]
    assert read_library("") == {}


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("title = ", "mine.toml: Invalid value"),
        ("title = 3", "about: field required"),
        (TOML.format(title="t") + '[parameters.p]\ntype = "string"\nsets = ["Sav.filename_prefix"]', "no node 'Sav'"),
    ],
)
def test_a_template_that_can_not_be_read_stops_the_start(tmp_path: Path, toml: str, told: str) -> None:
    """The file and the reason; a worker that silently lacks a template would be worse."""
    put(tmp_path / "a", "mine", toml)
    with pytest.raises(StartupError, match=r"mine\.toml") as refusal:
        read_library(str(tmp_path / "a"))
    assert told in str(refusal.value)


def test_a_folder_or_a_workflow_that_is_missing_is_named(tmp_path: Path) -> None:
    """Both are mistakes of whoever set WORKER_TEMPLATES."""
    with pytest.raises(StartupError, match="does not exist"):
        read_library(str(tmp_path / "none"))
    (tmp_path / "lone.toml").write_text(TOML.format(title="t"))
    with pytest.raises(StartupError, match=r"lone\.json"):
        read_library(str(tmp_path))


def test_a_workflow_may_be_as_the_editor_saves_it(tmp_path: Path) -> None:
    """It is converted once, at the start; titles and ids are the editor's."""
    nodes = [
        {
            **{"id": 1, "type": "EmptyImage", "mode": 0, "inputs": [], "widgets_values": [64, 48, 1, 0]},
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
        },
        {
            **{"id": 2, "type": "SaveImage", "title": "Save", "mode": 0, "outputs": [], "widgets_values": ["x"]},
            "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
        },
    ]
    saved = {"nodes": nodes, "links": [[1, 1, 0, 2, 0, "IMAGE"]], "version": 0.4}
    toml = TOML.format(title="t") + '[parameters.width]\ntype = "integer"\nsets = ["1.width"]\n'
    put(tmp_path / "a", "mine", toml)
    (tmp_path / "a" / "mine.json").write_text(json.dumps(saved))
    found = read_library(str(tmp_path / "a"))["mine"]
    assert (found.outputs, found.by_name["width"].default) == (("2",), 64)
