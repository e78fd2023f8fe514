"""Installing sources as an image's build does, with two files and no installed package."""

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
    """A build's folder: the two files, the pins, the folder of sources, and the target."""

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
    """ComfyUI and a pack of the group `more` in repositories that the pins name, without a folder of sources."""
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


def test_a_source_without_a_folder_is_fetched(build: Build) -> None:
    """A source without a folder is fetched at its commit, without git's folder, and recorded."""
    done = build.run("--groups", "base more")
    assert done.returncode == 0, done.stderr
    assert (build.to / "main.py").read_text() == "one"
    assert sorted(path.name for path in (build.to / "custom_nodes" / "Pack").iterdir()) == ["__init__.py"]
    assert not list(build.to.rglob(".git"))
    url, _, commit = build.pins["ComfyUI"].rpartition("@")
    assert build.record["ComfyUI"] == {"url": url, "commit": commit, "from": "git", "verified": True, "needs": []}
    assert build.record["Pack"]["needs"] == ["A b", "C"]


def test_a_group_that_was_not_chosen_stays_away(build: Build) -> None:
    """Only chosen groups and `base` are installed."""
    assert build.run().returncode == 0
    assert set(build.record) == {"ComfyUI"}
    assert not (build.to / "custom_nodes" / "Pack").exists()


def test_a_repository_gives_its_commits_files(build: Build) -> None:
    """A repository provides the files of the commit, without changes or other files."""
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
    """The pinned commit is read from a repository that has another one checked out."""
    shutil.copytree(build.comfyui.folder, build.sources / "ComfyUI")
    assert build.run().returncode == 0
    assert ((build.to / "main.py").read_text(), build.record["ComfyUI"]["verified"]) == ("one", True)


def test_a_repository_without_the_commit_is_refused(build: Build) -> None:
    """A repository without the commit is rejected, unless any commit is allowed."""
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
    """Without git, HEAD is read from files; the right commit is used but unverified."""
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
    """A folder without git is copied as unverified, without the packs in its custom_nodes."""
    folder = build.sources / "ComfyUI"
    for name in ("main.py", "custom_nodes/stranger/__init__.py", "custom_nodes/one.py", "comfy/__pycache__/a.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    done = build.run()
    assert (done.returncode, "unverified" in done.stdout) == (0, True)
    assert [path.name for path in (build.to / "custom_nodes").iterdir()] == ["one.py"]
    assert not list(build.to.rglob("__pycache__"))
    assert not build.record["ComfyUI"]["verified"]


def test_without_removes_paths(build: Build) -> None:
    """Paths of `without=` are removed, and a missing path is an error."""
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
    """Files of `writes=` become links into the state folder."""
    build.pins["Pack"] += " writes=config.json,__init__.py"
    assert build.run("--groups", "more", "--state", "/var/lib/state").returncode == 0
    pack = build.to / "custom_nodes" / "Pack"
    assert (pack / "config.json").readlink() == Path("/var/lib/state/Pack.config.json")
    assert (pack / "__init__.py").readlink() == Path("/var/lib/state/Pack.__init__.py")


def test_submodules_come_along(build: Build) -> None:
    """Checked-out submodules are copied as unverified."""
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
def test_a_failure_prints_one_line(build: Build, source: str, said: str) -> None:
    """A failure prints one line, exits with 1 and leaves no partial ComfyUI."""
    build.pins["ComfyUI"] = source
    done = build.run()
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1
    assert not build.to.exists()


def test_an_existing_folder_is_rejected(build: Build) -> None:
    """An existing target folder is rejected."""
    assert build.run().returncode == 0
    again = build.run()
    assert (again.returncode, "is not empty" in again.stderr) == (1, True)
    assert (build.to / "main.py").exists()
