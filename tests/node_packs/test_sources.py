"""Laying sources down, as an image's build does it: two files of ours, and nothing that was installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import ROOT
from tests.node_packs.repository import ENVIRONMENT, Repository

CUT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Build:
    """A build's folder: the two files, the pins, the folder of sources, and where all is to go."""

    home: Path
    comfyui: Repository
    pack: Repository
    pins: dict[str, str]

    @property
    def sources(self) -> Path:
        return self.home / "sources"

    @property
    def to(self) -> Path:
        return self.home / "opt" / "ComfyUI"

    @property
    def record(self) -> dict[str, Any]:
        return json.loads((self.to / "pins.json").read_text("utf-8"))

    def run(self, *more: str, path: str = ENVIRONMENT["PATH"]) -> subprocess.CompletedProcess[str]:
        text = "".join(f"{name} {source}\n" for name, source in self.pins.items())
        (self.home / "comfyui_nodes.txt").write_text(text, "utf-8")
        command = [sys.executable, "-I", "-S", "-c", START, str(self.home), "--pins", "comfyui_nodes.txt"]
        command += ["--sources", str(self.sources), "--to", str(self.to), *more]
        done = subprocess.run(
            command, cwd=self.home, env={**ENVIRONMENT, "PATH": path}, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done


# As `python3 -m` does it, but without the packages that this Python has.
START = (
    "import sys, runpy; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('worker.node_packs.sources', None, '__main__')"
)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """ComfyUI and a pack of the group `more`, in repositories that the pins name; no folder of sources has them."""
    made = tmp_path / "build" / "worker" / "node_packs"
    made.mkdir(parents=True)
    for name in ("pins.py", "sources.py"):
        shutil.copy(ROOT / "worker" / "node_packs" / name, made)
    comfyui, pack = Repository.new(tmp_path / "comfyui"), Repository.new(tmp_path / "pack")
    first = comfyui.commit({"main.py": "one", "custom_nodes/example.py": ""})
    second = pack.commit({"__init__.py": "one", "__pycache__/junk.pyc": ""})
    comfyui.commit({"main.py": "two"})
    pins = {"ComfyUI": f"{comfyui.url}@{first}", "Pack": f'{pack.url}@{second} more needs="A b,C"'}
    return Build(tmp_path / "build", comfyui, pack, pins)


def test_what_no_folder_has_is_fetched(build: Build) -> None:
    """At its commit, not the newest; without git's own folder and compiled files; and it is recorded."""
    done = build.run("--groups", "base more")
    assert done.returncode == 0, done.stderr
    assert (build.to / "main.py").read_text() == "one"
    assert sorted(path.name for path in (build.to / "custom_nodes" / "Pack").iterdir()) == ["__init__.py"]
    assert not list(build.to.rglob(".git"))
    url, _, commit = build.pins["ComfyUI"].rpartition("@")
    assert build.record["ComfyUI"] == {"url": url, "commit": commit, "from": "git", "verified": True, "needs": []}
    assert build.record["Pack"]["needs"] == ["A b", "C"]


def test_a_group_that_was_not_chosen_stays_away(build: Build) -> None:
    """Only the packs of `base` need no naming."""
    assert build.run().returncode == 0
    assert set(build.record) == {"ComfyUI"}
    assert not (build.to / "custom_nodes" / "Pack").exists()


def test_a_repository_gives_its_commits_files(build: Build) -> None:
    """Neither what was changed in it since, nor what lies beside it, gets into the image."""
    build.comfyui.git("checkout", "--quiet", "HEAD~1")
    shutil.copytree(build.comfyui.folder, build.sources / "ComfyUI")
    (build.sources / "ComfyUI" / "main.py").write_text("changed")
    (build.sources / "ComfyUI" / "models.safetensors").write_text("large")
    done = build.run()
    assert (done.returncode, build.record["ComfyUI"]["from"]) == (0, "context"), done.stderr
    assert build.record["ComfyUI"]["verified"]
    assert (build.to / "main.py").read_text() == "one"
    assert not (build.to / "models.safetensors").exists()


def test_a_repository_at_another_commit_that_has_the_pinned_one_will_do(build: Build) -> None:
    """It is read from git, whatever is checked out."""
    shutil.copytree(build.comfyui.folder, build.sources / "ComfyUI")
    assert build.run().returncode == 0
    assert ((build.to / "main.py").read_text(), build.record["ComfyUI"]["verified"]) == ("one", True)


def test_a_repository_without_the_commit_is_refused(build: Build) -> None:
    """Unless the operator says that any commit will do, which is told and recorded."""
    shutil.copytree(build.comfyui.folder, build.sources / "ComfyUI")
    head = build.comfyui.git("rev-parse", "HEAD")
    build.pins["ComfyUI"] = f"{build.comfyui.url}@{CUT}"
    refused = build.run()
    assert refused.returncode == 1
    assert refused.stderr == (
        f"sources: {build.sources}/ComfyUI is at {head[:12]}, and ComfyUI is pinned to {CUT[:12]}; "
        "check that commit out, or use --any-commit\n"
    )
    assert not build.to.exists()
    taken = build.run("--any-commit")
    assert (taken.returncode, f"NOT the pinned {CUT[:12]}" in taken.stdout) == (0, True)
    assert (build.record["ComfyUI"]["commit"], build.record["ComfyUI"]["verified"]) == (head, False)


@pytest.mark.parametrize("packed", [False, True])
def test_without_git_the_head_is_still_looked_at(build: Build, packed: bool) -> None:
    """In git's own files, loose or packed: the wrong one is refused, the right one taken but not called verified."""
    if packed:
        build.comfyui.git("pack-refs", "--all")
    shutil.copytree(build.comfyui.folder, build.sources / "ComfyUI")
    refused = build.run(path="/nowhere")
    assert (refused.returncode, "use --any-commit" in refused.stderr) == (1, True)
    build.pins["ComfyUI"] = f"{build.comfyui.url}@{build.comfyui.git('rev-parse', 'HEAD')}"
    assert build.run(path="/nowhere").returncode == 0
    assert not build.record["ComfyUI"]["verified"]
    assert not (build.to / ".git").exists()


def test_a_plain_folder_is_taken_as_unverified(build: Build) -> None:
    """Packs that lie in its custom_nodes are not: nobody pinned them."""
    folder = build.sources / "ComfyUI"
    for name in ("main.py", "custom_nodes/stranger/__init__.py", "custom_nodes/one.py", "comfy/__pycache__/a.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    done = build.run()
    assert (done.returncode, "unverified" in done.stdout) == (0, True)
    assert [path.name for path in (build.to / "custom_nodes").iterdir()] == ["one.py"]
    assert not list(build.to.rglob("__pycache__"))
    assert not build.record["ComfyUI"]["verified"]


def test_what_a_line_leaves_out_stays_out(build: Build) -> None:
    """Wherever the pack comes from; and a path that isn't there is a mistake, or the pack has moved it."""
    commit = build.pack.commit({"examples/a.png": "picture", "docs/b.png": "picture", "docs/c.md": "text"})
    build.pins["One"] = f"{build.pack.url}@{commit} without=examples,docs/b.png"
    assert build.run().returncode == 0
    pack = build.to / "custom_nodes" / "One"
    assert sorted(path.name for path in pack.rglob("*") if "examples" in str(path) or "docs" in str(path)) == [
        "c.md",
        "docs",
    ]
    build.pins["One"] += ",examples/gone.png"
    shutil.rmtree(build.to)
    done = build.run()
    assert (done.returncode, "One has no examples/gone.png" in done.stderr) == (1, True)


def test_what_a_pack_writes_is_a_link_into_the_state_folder(build: Build) -> None:
    """An image is read-only; the link leads to nothing yet, and a file that came along makes way for it."""
    build.pins["Pack"] += " writes=config.json,__init__.py"
    assert build.run("--groups", "more", "--state", "/var/lib/state").returncode == 0
    pack = build.to / "custom_nodes" / "Pack"
    assert (pack / "config.json").readlink() == Path("/var/lib/state/Pack.config.json")
    assert (pack / "__init__.py").readlink() == Path("/var/lib/state/Pack.__init__.py")


def test_submodules_come_along(build: Build) -> None:
    """Those that are checked out in a folder; git can't tell whether they are as pinned."""
    inner = Repository.new(build.home.parent / "inner")
    inner.commit({"inner.py": ""})
    allow = ("-c", "protocol.file.allow=always")
    build.pack.git(*allow, "submodule", "--quiet", "add", inner.url, "inner")
    commit = build.pack.commit({})
    shutil.copytree(build.pack.folder, build.sources / "Pack")
    build.pins["Pack"] = f"{build.pack.url}@{commit} more"
    done = build.run("--groups", "more")
    assert done.returncode == 0, done.stderr
    assert (build.to / "custom_nodes" / "Pack" / "inner" / "inner.py").exists()
    assert not list(build.to.rglob(".git"))
    assert (build.record["Pack"]["from"], build.record["Pack"]["verified"]) == ("context", False)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (f"file:///nowhere@{CUT}", f"sources: ComfyUI cannot be fetched from file:///nowhere at {CUT}: fatal: "),
        (f"https://x.org/a/One@{CUT[:-1]}", "comfyui_nodes.txt: line 1: '"),
    ],
)
def test_what_fails_is_said_in_a_sentence(build: Build, source: str, said: str) -> None:
    """Exit code 1, one line, and no half of a ComfyUI is left."""
    build.pins["ComfyUI"] = source
    done = build.run()
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1
    assert not build.to.exists()


def test_what_is_there_is_not_written_over(build: Build) -> None:
    """A second run into the same folder would mix two ComfyUIs."""
    assert build.run().returncode == 0
    again = build.run()
    assert (again.returncode, "is not empty" in again.stderr) == (1, True)
    assert (build.to / "main.py").exists()
