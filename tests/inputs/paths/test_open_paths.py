"""Paths of the machine that a workflow may have: in opened folders to read, in the output folder to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.inputs.file_inputs import FileInput, OpenFolders
from worker.inputs.paths.own_paths import paths_in_output_folder
from worker.workflow.catalog.path_inputs import PathUse


@pytest.fixture
def opened(tmp_path: Path) -> OpenFolders:
    """`shared` in the input folder is open, and the output folder is known."""
    (tmp_path / "input" / "shared").mkdir(parents=True)
    return OpenFolders.read("input/shared", tmp_path / "input", tmp_path / "output")


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("input/shared", True),
        ("input/shared/a/b.png", True),
        ("input/other/a.png", False),
        ("input/shared/../other/a.png", False),
        ("input/sharedother/a.png", False),
        ("output/a.png", False),
        ("elsewhere/a.png", False),
    ],
)
def test_a_path_is_read_in_an_opened_folder_only(opened: OpenFolders, tmp_path: Path, path: str, may: bool) -> None:
    """The operator has opened the folder by WORKER_INPUT_FOLDERS."""
    assert opened.contain_path(f"{tmp_path}/{path}") is may


def test_the_input_folder_as_a_whole_is_not_read(tmp_path: Path) -> None:
    """The folders of all jobs that wait lie in it, so that a node with a pattern such as `**` would read them."""
    (tmp_path / "input").mkdir()
    opened = OpenFolders.read("input", tmp_path / "input", tmp_path / "output")
    assert opened.contain_path(f"{tmp_path}/input/a.png")
    assert opened.contain_path(f"{tmp_path}/input/shared")
    assert not opened.contain_path(f"{tmp_path}/input")
    assert not opened.contain_path(f"{tmp_path}/input/.")


def test_a_link_out_of_an_opened_folder_counts_as_what_it_leads_to(opened: OpenFolders, tmp_path: Path) -> None:
    """Somebody may have put it there for another purpose."""
    (tmp_path / "input" / "shared" / "out").symlink_to(tmp_path)
    assert not opened.contain_path(f"{tmp_path}/input/shared/out/secret.txt")


@pytest.mark.parametrize(
    ("path", "may"), [("output/notes", True), ("output", True), ("output/../state", False), ("input/shared", False)]
)
def test_a_path_is_written_in_the_output_folder_only(opened: OpenFolders, tmp_path: Path, path: str, may: bool) -> None:
    """Whatever is opened for reading."""
    assert opened.allow_writing(f"{tmp_path}/{path}") is may


@pytest.mark.parametrize(
    ("text", "leads_to"),
    [("notes/a", "notes/a"), ("notes\\a", "notes/a"), ("output", None), ("", None), ("/elsewhere", None)],
)
def test_a_relative_path_is_written_below_the_output_folder(tmp_path: Path, text: str, leads_to: str | None) -> None:
    """Nodes that take it for one in the current folder could not write there; a class's own name for it stays."""
    place = FileInput("1", "SaveImageKJ", "output_folder", text, None, False, True, PathUse.WRITE, "output")
    expected = {} if leads_to is None else {text: str(tmp_path / leads_to)}
    assert paths_in_output_folder([place], tmp_path) == {place.key: expected}
