"""Absolute paths in a workflow: readable in opened folders, writable in the output folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.inputs.file_inputs import FileInput, OpenFolders
from worker.inputs.paths.own_paths import paths_in_output_folder
from worker.workflow.catalog.path_inputs import PathUse


@pytest.fixture
def opened(tmp_path: Path) -> OpenFolders:
    """Return folders with `shared` in the input folder opened, and a known output folder."""
    (tmp_path / "input" / "shared").mkdir(parents=True)
    return OpenFolders.read("input/shared", tmp_path / "input", tmp_path / "output")


@pytest.mark.parametrize(
    ("path", "is_allowed"),
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
def test_a_path_is_read_in_an_opened_folder_only(
    opened: OpenFolders, tmp_path: Path, path: str, is_allowed: bool
) -> None:
    """contain_path accepts a path only inside a folder that WORKER_INPUT_FOLDERS opens."""
    assert opened.contain_path(f"{tmp_path}/{path}") is is_allowed


def test_the_input_folder_as_a_whole_is_not_read(tmp_path: Path) -> None:
    """contain_path refuses the input folder itself, because it contains the folders of all jobs."""
    (tmp_path / "input").mkdir()
    opened = OpenFolders.read("input", tmp_path / "input", tmp_path / "output")
    assert opened.contain_path(f"{tmp_path}/input/a.png")
    assert opened.contain_path(f"{tmp_path}/input/shared")
    assert not opened.contain_path(f"{tmp_path}/input")
    assert not opened.contain_path(f"{tmp_path}/input/.")


def test_a_symbolic_link_counts_as_its_target(opened: OpenFolders, tmp_path: Path) -> None:
    """contain_path refuses a symbolic link in an opened folder whose target is outside."""
    (tmp_path / "input" / "shared" / "out").symlink_to(tmp_path)
    assert not opened.contain_path(f"{tmp_path}/input/shared/out/secret.txt")


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [("output/notes", True), ("output", True), ("output/../state", False), ("input/shared", False)],
)
def test_a_path_is_written_in_the_output_folder_only(
    opened: OpenFolders, tmp_path: Path, path: str, is_allowed: bool
) -> None:
    """allow_writing accepts a path only inside the output folder."""
    assert opened.allow_writing(f"{tmp_path}/{path}") is is_allowed


@pytest.mark.parametrize(
    ("text", "replacement"),
    [("notes/a", "notes/a"), ("notes\\a", "notes/a"), ("output", None), ("", None), ("/elsewhere", None)],
)
def test_a_relative_path_is_written_below_the_output_folder(tmp_path: Path, text: str, replacement: str | None) -> None:
    """A relative path to write becomes a path in the output folder, except the default of the class."""
    place = FileInput("1", "SaveImageKJ", "output_folder", text, None, False, True, PathUse.WRITE, "output")
    expected = {} if replacement is None else {text: str(tmp_path / replacement)}
    assert paths_in_output_folder([place], tmp_path) == {place.key: expected}
