"""`comfy-worker nodes` on real git servers: repositories over file://."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import cli
from tests.node_packs.index import add_wheel, only
from tests.node_packs.repository import Repository
from worker.cli.commands.nodes.add import split_source
from worker.node_packs.lockfile import COMFYUI_LOCK, TORCH_LOCK, lock_header
from worker.node_packs.pins import Pins, read_pins

CUT = "0123456789abcdef0123456789abcdef01234567"


class Project:
    """A folder with `comfyui_nodes.txt`, and the repositories of what it pins."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.comfyui = Repository.new(home / "origin" / "ComfyUI")
        self.pack = Repository.new(home / "origin" / "Pack")
        self.first = self.pack.commit({"requirements.txt": "a\n"})
        self.pack.git("tag", "light")
        self.pack.git("tag", "--annotate", "--message", "said", "heavy")
        self.text = f"# head\nComfyUI  {self.comfyui.url}@{self.comfyui.commit({'main.py': ''})}  # v1\n"
        self.file.write_text(self.text, "utf-8")

    def pin_pack(self) -> None:
        self.file.write_text(f"{self.text}Pack  {self.pack.url}@{self.first}\n", "utf-8")

    def write_locks(self) -> None:
        """Write locks that match the pins."""
        (self.home / "locks").mkdir()
        for name in (COMFYUI_LOCK, TORCH_LOCK):
            (self.home / "locks" / name).write_text(lock_header(self.pins, ""), "utf-8")

    @property
    def file(self) -> Path:
        return self.home / "comfyui_nodes.txt"

    @property
    def pins(self) -> Pins:
        return read_pins(self.file.read_text("utf-8"))

    def run(self, *arguments: str, code: int = 0, **env: str) -> str:
        done = cli("nodes", *arguments, cwd=self.home, **env)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("ref", ["light", "heavy", "main", None])
def test_add_pins_the_commit_of_a_branch_or_tag(project: Project, ref: str | None) -> None:
    """`add` pins the commit of a branch, a tag or an annotated tag, and writes its name into a comment."""
    newest = project.pack.commit({"more": ""})
    project.run("add", f"{project.pack.url}@{ref}" if ref else project.pack.url, "--group", "video")
    (pack,) = project.pins.packs
    assert (pack.name, pack.url, pack.group) == ("Pack", project.pack.url, "video")
    assert pack.commit == (newest if ref in {"main", None} else project.first)
    assert project.file.read_text("utf-8").endswith(f"video  # {ref}\n" if ref else "video\n")
    assert project.file.read_text("utf-8").startswith(project.text)


def test_add_writes_nothing_after_an_error(project: Project) -> None:
    """A missing branch, commit or server and a used name are errors that do not change the file."""
    for source, said in (
        (f"{project.pack.url}@gone", "has no branch or tag 'gone'"),
        (f"{project.pack.url}@{CUT}", "cannot be fetched"),
        ("file:///nowhere/Pack", "the newest commit cannot be read: fatal: "),
        (project.comfyui.url, "ComfyUI is already in the file"),
    ):
        assert said in project.run("add", source, code=1)
    assert project.file.read_text("utf-8") == project.text


@pytest.mark.parametrize(
    ("source", "url", "ref"),
    [
        ("a/b", "https://github.com/a/b", None),
        ("a/b@v1/x", "https://github.com/a/b", "v1/x"),
        ("https://x.org/a/b.git@main", "https://x.org/a/b.git", "main"),
        ("ssh://git@x.org:22/a/b", "ssh://git@x.org:22/a/b", None),
        ("ssh://git@x.org/a/b@main", "ssh://git@x.org/a/b", "main"),
    ],
)
def test_a_source_is_a_url_and_a_ref(source: str, url: str, ref: str | None) -> None:
    """`split_source` separates the URL from the ref, and keeps a user's name in the URL."""
    assert split_source(source) == (url, ref)


def test_update_pins_newer_commits(project: Project) -> None:
    """`update` pins the newest commits of all packs, or a given ref, and ComfyUI only by name."""
    project.pin_pack()
    newest = project.pack.commit({"more": ""})
    project.comfyui.commit({"more": ""})
    project.comfyui.git("tag", "v2")
    assert f"Pack  {project.first[:12]} -> {newest[:12]}" in project.run("update")
    assert project.text in project.file.read_text("utf-8")
    assert json.loads(project.run("update", "Pack@heavy", "--json")) == {"Pack": {"old": newest, "new": project.first}}
    assert project.file.read_text("utf-8").endswith("# heavy\n")
    project.run("update", "ComfyUI@v2")
    assert (project.pins.comfyui.commit, "  # v2\n" in project.file.read_text("utf-8")) == (
        project.comfyui.git("rev-parse", "v2"),
        True,
    )
    assert "Did you mean 'Pack'?" in project.run("update", "Pak", code=2)


def test_lock_and_check(project: Project) -> None:
    """`check` reports a missing lock, and passes after `lock`."""
    add_wheel(project.home / "index", "a", "1")
    project.pin_pack()
    assert "comfyui.lock is missing" in project.run("check", code=1)
    assert "comfyui.lock  1 package" in project.run("lock", **only(project.home / "index"))
    assert "match the pins" in project.run("check")


def test_check_reports_an_outdated_lock(project: Project) -> None:
    """`check` reports a lock that is older than the pins."""
    project.pin_pack()
    project.write_locks()
    project.pack.commit({"more": ""})
    project.run("update")
    told = json.loads(project.run("check", "--json", code=1))
    assert told["packs"] == {"ComfyUI": None, "Pack": None}
    assert told["locks"][0] == "comfyui.lock was made for other pins or constraints"


def test_check_reports_a_missing_commit(project: Project) -> None:
    """`check` reports a commit that the server no longer has."""
    project.file.write_text(project.text.replace(project.pins.comfyui.commit, CUT), "utf-8")
    project.write_locks()
    said = project.run("check", code=1)
    assert f"cannot be fetched from {project.comfyui.url} at {CUT}" in said
    assert "match the pins" in said


def test_an_invalid_file_is_reported_with_its_line(project: Project) -> None:
    """A wrong line is reported with its number, and a missing file with its name."""
    project.file.write_text("One\n", "utf-8")
    assert project.run(code=1).startswith("✗ comfyui_nodes.txt: line 1: 'One' is not GIT-URL@COMMIT")
    project.file.unlink()
    assert project.run("check", code=1).startswith(
        "✗ comfyui_nodes.txt: no such file or directory  [file_unreadable]\n"
    )


def test_nodes_lists_the_pins(project: Project) -> None:
    """`nodes` prints one line for each pin, and with `--json` an object."""
    assert project.run().split()[:3] == ["ComfyUI", project.pins.comfyui.commit[:12], "base"]
    assert json.loads(project.run("--json"))["ComfyUI"]["url"] == project.comfyui.url
