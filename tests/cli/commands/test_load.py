"""`comfy-worker load`: what was learned about the seconds of jobs, and its way to other machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import cli
from tests.load.learning.nodes import ENGINE, run, sampler
from worker.jobs.learned_load import FILE, read_state, write_state
from worker.jobs.state_lock import state_lock
from worker.load.gpu_classes import REFERENCE, GpuClass
from worker.load.learning.estimator import Estimator
from worker.load.learning.learned_state import LearnedState


def learn(folder: Path, *shapes: str, gpu: GpuClass = REFERENCE, seconds: float = 20.0) -> LearnedState:
    """Store in a state folder what a worker has learned from runs of a few shapes, and return it."""
    learner = Estimator({ENGINE: gpu})
    for shape in shapes:
        run(learner, sampler(10.0, shape=shape), *[seconds] * 10)
    folder.mkdir(exist_ok=True)
    write_state(folder / FILE, learner.saved())
    return learner.saved()


def test_load_shows_what_was_learned(tmp_path: Path) -> None:
    """There is one row for each kind and family, with its runs, and a line for each engine."""
    learn(tmp_path / "state", "1Mpx", "2Mpx")
    done = cli("load", "--state", "state", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = [line.split() for line in done.stdout.splitlines() if "sampler" in line]
    assert row[:6] == ["RTX", "4090", "sampler", "flux", "fp8", "20"]
    assert "engine-0 takes " in done.stdout
    shown = json.loads(cli("load", "--json", cwd=tmp_path, WORKER_STATE="state").stdout)
    (node,) = shown["nodes"]
    assert (node["family"], node["runs"]) == ("flux", 20)
    assert node["factor"] * shown["engines"]["engine-0"] == pytest.approx(2.0, rel=0.05)


def test_export_merges_workers_and_import_gives_the_result_to_another(tmp_path: Path) -> None:
    """The file of two workers has the shapes of both. After an import, a worker knows them."""
    learn(tmp_path / "one", "1Mpx")
    learn(tmp_path / "two", "1Mpx", "4Mpx")
    folders = ("--state", "one", "--state", "two")
    exported = json.loads(cli("load", "export", "priors.json", *folders, "--json", cwd=tmp_path).stdout)
    assert exported == {"file": "priors.json", "gpu": "RTX 4090", "machines": 2, "shapes": 2, "runs": 30}
    learn(tmp_path / "new", "8Mpx")
    done = cli("load", "import", "priors.json", "--state", "new", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 new shapes" in done.stdout
    state = read_state(tmp_path / "new" / FILE)
    assert {key.shape for key in state.shapes} == {"1Mpx", "4Mpx", "8Mpx"}
    assert state.imported == {"RTX 4090": 30.0}
    assert cli("load", "import", "priors.json", "--state", "fresh", cwd=tmp_path).returncode == 0
    assert len(read_state(tmp_path / "fresh" / FILE).shapes) == 2


def test_workers_of_several_gpu_classes_are_not_merged(tmp_path: Path) -> None:
    """The error names the classes and the option that selects one."""
    learn(tmp_path / "one", "1Mpx")
    learn(tmp_path / "two", "1Mpx", gpu=GpuClass("H100", 354.0))
    arguments = ("load", "export", "priors.json", "--state", "one", "--state", "two")
    done = cli(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "H100, RTX 4090" in done.stderr
    assert "--gpu" in done.stderr
    assert not (tmp_path / "priors.json").exists()
    assert cli(*arguments, "--gpu", "H100", cwd=tmp_path).returncode == 0


def test_the_state_of_a_running_worker_is_not_changed(tmp_path: Path) -> None:
    """An import while a worker uses the state folder is refused, because the worker would overwrite it."""
    learn(tmp_path / "state", "1Mpx")
    cli("load", "export", "priors.json", "--state", "state", cwd=tmp_path)
    with state_lock(tmp_path / "state"):
        done = cli("load", "import", "priors.json", "--state", "state", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["error"]["code"] == "state_in_use"
