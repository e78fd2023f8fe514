"""Reading the Python requirements of a pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.node_packs.repository import Repository
from worker.errors import RequirementsError
from worker.node_packs.pins import PinnedPack
from worker.node_packs.requirements import read_requirements, requirements

CUT = "0123456789abcdef0123456789abcdef01234567"


def tree(files: Mapping[str, str]) -> Callable[[str], str | None]:
    return files.get


def test_requirements_are_read_from_where_pip_would() -> None:
    """Requirements come from requirements.txt with its includes, or else from pyproject.toml."""
    text = "numpy>=1.26  # why\n\n# none\n-r more.txt\nb==1 \\\n  --hash=sha256:00\n"
    files = {"requirements.txt": text, "more.txt": "c[x]~=2 ; sys_platform == 'linux'\n", "pyproject.toml": "broken"}
    assert requirements("One", tree(files)) == ("numpy>=1.26", "c[x]~=2 ; sys_platform == 'linux'", "b==1")
    assert requirements("One", tree({"pyproject.toml": '[project]\ndependencies = ["a", "b>1"]'})) == ("a", "b>1")
    assert requirements("One", tree({"pyproject.toml": "[tool.comfy]"})) == ()
    assert requirements("One", tree({})) == ()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"requirements.txt": "--extra-index-url https://x.org/whl\n"},
            "requirements.txt has the option '--extra-index",
        ),
        ({"requirements.txt": "a @ git+https://x.org/a\n"}, "requires 'a @ git.*no version and no hash"),
        ({"requirements.txt": "./wheels/a.whl\n"}, "no version and no hash"),
        ({"requirements.txt": "-r gone.txt\n"}, "includes gone.txt, which does not exist"),
        ({"pyproject.toml": "broken"}, "pyproject.toml cannot be read"),
    ],
)
def test_a_requirement_that_cannot_be_locked_is_rejected(files: Mapping[str, str], said: str) -> None:
    """A requirement that cannot be locked is rejected with the pack's name."""
    with pytest.raises(RequirementsError, match=said):
        requirements("One", tree(files))


@pytest.mark.parametrize("place", ["git", "repository", "folder"])
def test_they_are_those_of_the_pinned_commit(tmp_path: Path, place: str) -> None:
    """Requirements are those of the pinned commit, fetched, in a newer repository, or in a folder."""
    origin = Repository.new(tmp_path / "One")
    pack = PinnedPack("One", origin.url, origin.commit({"requirements.txt": "a==1\n"}))
    if place != "folder":
        origin.commit({"requirements.txt": "a==2\n"})
    else:
        pack = PinnedPack("One", "https://nowhere.invalid/One", CUT)
        (tmp_path / "One" / ".git").rename(tmp_path / "gone")
    assert read_requirements(pack, None if place == "git" else tmp_path) == ("a==1",)


@pytest.mark.parametrize(
    ("wanted", "locked"),
    [
        ("opencv-python", "opencv-python-headless"),
        ("opencv-python>=4.7,<5", "opencv-python-headless>=4.7,<5"),
        ("OpenCV-python ; sys_platform == 'linux'", "opencv-python-headless ; sys_platform == 'linux'"),
        ("opencv-contrib-python==4.9", "opencv-contrib-python-headless==4.9"),
        ("opencv-python-headless", "opencv-python-headless"),
        ("opencv-python-rolling", "opencv-python-rolling"),
    ],
)
def test_opencv_is_taken_without_its_windows(wanted: str, locked: str) -> None:
    """OpenCV is replaced by its headless package."""
    assert requirements("One", tree({"requirements.txt": wanted})) == (locked,)
