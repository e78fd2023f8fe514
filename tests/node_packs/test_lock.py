"""One resolution for ComfyUI and all packs, by the real uv, from an index in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.node_packs.index import add_wheel, only
from worker.node_packs.lock import find_uv
from worker.node_packs.pins import Pins, read_pins

CUT = "0123456789abcdef0123456789abcdef01234567"

# In a process of its own: uv's settings are environment variables.
MAKE = """
import json, sys
from pathlib import Path
from worker.node_packs.lock import make_locks
from worker.node_packs.lockfile import LockError
from worker.node_packs.pins import read_pins
home = Path(sys.argv[1])
try:
    made = make_locks(read_pins((home / "nodes.txt").read_text()), home, home / "locks", upgrade="upgrade" in sys.argv)
except LockError as error:
    sys.exit(str(error))
print(json.dumps(made))
"""


class Home:
    """Sources in folders, an index, and the last locks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "index"
        (root / "locks").mkdir()
        self.pins: list[str] = []
        for name, wants in (("ComfyUI", "torch\nnumpy\n"), ("One", "numpy>=2\n"), ("Two", "extra\n")):
            self.add(name, wants, "more" if name == "Two" else "base")
        for version in ("1.5", "2.0", "2.1"):
            add_wheel(self.index, "numpy", version)
        add_wheel(self.index, "torch", "2.11", "nvidia-nccl; sys_platform == 'linux'", "tomli; python_version < '3.11'")
        add_wheel(self.index, "torch", "2.12", "nvidia-nccl")
        add_wheel(self.index, "nvidia-nccl", "1")
        add_wheel(self.index, "extra", "1", "numpy<2.1")
        add_wheel(self.index, "colorama", "1")

    def add(self, name: str, wants: str, group: str) -> None:
        (self.root / name).mkdir()
        (self.root / name / "requirements.txt").write_text(wants)
        self.pins.append(f"{name} https://x.org/{name}@{CUT} {group}\n")

    def read(self) -> Pins:
        return read_pins("".join(self.pins))

    def lock(self, *more: str) -> subprocess.CompletedProcess[str]:
        (self.root / "nodes.txt").write_text("".join(self.pins))
        environment = {**os.environ, **only(self.index)}
        done = subprocess.run(
            [sys.executable, "-c", MAKE, self.root, *more],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        for name, text in json.loads(done.stdout or "{}").items():
            (self.root / "locks" / name).write_text(text)
        return done

    def versions(self, name: str) -> list[str]:
        lines = (self.root / "locks" / name).read_text().splitlines()
        return [line.removesuffix(" \\") for line in lines if "==" in line]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    find_uv()
    return Home(tmp_path)


def test_all_packs_are_resolved_together(home: Home) -> None:
    """Packs of all groups determine the versions, and torch has a file of its own."""
    done = home.lock()
    assert done.returncode == 0, done.stderr
    assert home.versions("comfyui.lock") == ["numpy==2.0"]
    assert home.versions("torch.lock") == ["nvidia-nccl==1", "torch==2.12"]
    assert home.versions("comfyui-more.lock") == ["extra==1"]
    assert str(home.root) not in done.stdout
    assert "://" not in done.stdout


def test_constraints_hold(home: Home) -> None:
    """Constraints limit the versions."""
    (home.root / "locks" / "constraints.txt").write_text("torch==2.11  # seen\n")
    assert home.lock().returncode == 0
    assert "torch==2.11" in home.versions("torch.lock")


def test_versions_stay_until_newer_ones_are_asked_for(home: Home) -> None:
    """A new pack does not change locked versions."""
    (home.root / "locks" / "comfyui.lock").write_text("# made before 2.0.1 came\nnumpy==2.0\n")
    add_wheel(home.index, "numpy", "2.0.1")
    assert home.lock().returncode == 0
    assert home.versions("comfyui.lock") == ["numpy==2.0"]
    assert home.lock("upgrade").returncode == 0
    assert home.versions("comfyui.lock") == ["numpy==2.0.1"]


def test_packs_that_collide_are_named(home: Home) -> None:
    """A conflict names the packs involved and their requirements, and no folder of this machine."""
    home.add("Old_Pack", "numpy<2\n", "base")
    done = home.lock()
    assert done.returncode == 1
    assert done.stderr.startswith("One and Old_Pack cannot be installed together: ")
    assert "Old_Pack depends on numpy<2" in done.stderr
    assert "One depends on numpy>=2" in done.stderr
    assert "Two" not in done.stderr
    assert str(home.root) not in done.stderr
