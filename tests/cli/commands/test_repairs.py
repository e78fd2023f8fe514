"""Repairs and seeds in the output of commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import cli
from tests.engines import EngineHandle
from tests.jobs.test_repaired_jobs import randomized, small


def written(folder: Path, workflow: object) -> Path:
    path = folder / "workflow.json"
    path.write_text(json.dumps(workflow))
    return path


def test_validate_lists_repairs(tmp_path: Path) -> None:
    """A workflow is valid if it runs after its repairs. With `--strict` the verdict is that of ComfyUI."""
    workflow = written(tmp_path, small())
    done = cli("validate", workflow, "--assume-files", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "repair: node 3 (KSampler), seed: The seed -1" in " ".join(done.stdout.split())
    assert "seed: node 3, seed is drawn when the job runs" in done.stdout
    done = cli("validate", workflow, "--assume-files", "--strict", "--json", cwd=tmp_path)
    assert (done.returncode, "repairs" in json.loads(done.stdout)) == (1, False)


def test_convert_keeps_the_saved_seed(tmp_path: Path) -> None:
    """Two conversions print the same prompt, and the repairs of a job are on standard error."""
    workflow = written(tmp_path, randomized(seed=11))
    first, second = (cli("convert", workflow, cwd=tmp_path).stdout for _ in range(2))
    assert first == second
    assert json.loads(first)["1"]["inputs"] == {"value": 11}
    done = cli("convert", written(tmp_path, small()), cwd=tmp_path)
    assert json.loads(done.stdout)["3"]["inputs"]["seed"] == -1
    assert "repair: node 3" in done.stderr
    assert cli("convert", workflow, "--strict", cwd=tmp_path).stderr == ""


@pytest.mark.parametrize("assignments", [(), ("--set", "3.value=5")])
def test_run_draws_random_seeds(assignments: tuple[str, ...], engine: EngineHandle, tmp_path: Path) -> None:
    """`run` draws the seeds that the editor would draw, also with `--set`. `--keep-seeds` uses the saved ones."""
    number = {"id": 3, "type": "PrimitiveInt", "widgets_values": [1, "fixed"], "outputs": [{"type": "INT"}]}
    workflow = written(tmp_path, {**randomized(), "nodes": [*randomized()["nodes"], number]})
    options = ((), (), ("--keep-seeds",))
    runs = [cli("run", workflow, *assignments, *more, cwd=tmp_path, WORKER_COMFYUI=engine.url) for more in options]
    assert [done.returncode for done in runs] == [0, 0, 0], runs[0].stderr
    lines = [[line for line in (done.stdout + done.stderr).splitlines() if "seed: node 1" in line] for done in runs]
    assert len(lines[0]) == len(lines[1]) == 1
    assert lines[0] != lines[1]
    assert lines[2] == []


def test_an_assigned_seed_is_kept(engine: EngineHandle, tmp_path: Path) -> None:
    """A seed of `--set` is not drawn again."""
    done = cli(
        *("run", written(tmp_path, randomized()), "--set", "1.value=5", "--json"),
        cwd=tmp_path,
        WORKER_COMFYUI=engine.url,
    )
    assert done.returncode == 0, done.stderr
    assert "seed: node" not in done.stderr
    assert "seeds" not in json.loads(done.stdout)["metadata"]
