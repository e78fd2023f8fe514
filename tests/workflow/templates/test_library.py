"""Folders of templates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.errors import StartupError
from worker.workflow.templates.library import read_library

WORKFLOW = {"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}, "_meta": {"title": "Save"}}}
TOML = 'title = "{title}"\nabout = "A."\noutputs = ["Save"]\n'


def write_template(folder: Path, name: str, toml: str) -> None:
    """Write a workflow and its TOML file into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(WORKFLOW))
    (folder / f"{name}.toml").write_text(toml)


def test_a_later_folder_overrides_an_earlier_one(tmp_path: Path) -> None:
    """Own templates are added to the shipped ones, or replace those of the same name."""
    write_template(tmp_path / "a", "mine", TOML.format(title="first"))
    write_template(tmp_path / "b", "mine", TOML.format(title="second"))
    (tmp_path / "b" / "plain.json").write_text(json.dumps(WORKFLOW))
    library = read_library(f"shipped, {tmp_path / 'a'}, {tmp_path / 'b'}")
    assert library["mine"].title == "second"
    assert "sd15-res4lyf" in library
    assert "plain" not in library
    assert list(read_library(str(tmp_path / "a"))) == ["mine"]
    assert read_library("") == {}


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("title = ", "mine.toml: Invalid value"),
        ("title = 3", "about: field required"),
        (TOML.format(title="t") + '[parameters.p]\ntype = "string"\nsets = ["Sav.filename_prefix"]', "no node 'Sav'"),
    ],
)
def test_an_invalid_template_raises_startup_error(tmp_path: Path, toml: str, message: str) -> None:
    """The error names the file and the reason."""
    write_template(tmp_path / "a", "mine", toml)
    with pytest.raises(StartupError, match=r"mine\.toml") as refusal:
        read_library(str(tmp_path / "a"))
    assert message in str(refusal.value)


def test_a_missing_folder_or_workflow_is_named(tmp_path: Path) -> None:
    """The error names the missing folder or workflow."""
    with pytest.raises(StartupError, match="does not exist"):
        read_library(str(tmp_path / "none"))
    (tmp_path / "lone.toml").write_text(TOML.format(title="t"))
    with pytest.raises(StartupError, match=r"lone\.json"):
        read_library(str(tmp_path))


def test_an_editor_workflow_is_converted(tmp_path: Path) -> None:
    """A workflow as the editor saves it is converted when the templates are read. Titles and ids stay."""
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
    write_template(tmp_path / "a", "mine", toml)
    (tmp_path / "a" / "mine.json").write_text(json.dumps(saved))
    template = read_library(str(tmp_path / "a"))["mine"]
    assert (template.outputs, template.by_name["width"].default) == (("2",), 64)
