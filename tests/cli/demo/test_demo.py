"""`comfy-worker demo`, which is `make run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands.test_run import sizes
from tests.cli.commands.test_serve import processes_with
from tests.cli.terminal import cli, command


@pytest.mark.timeout(240)
def test_the_demo_runs_workflows(tmp_path: Path) -> None:
    """The demo runs two workflows in both shapes on two workers, prints its tables, and leaves no process or file."""
    (tmp_path / "tmp").mkdir()
    done = command("demo", cwd=tmp_path, timeout=80, TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sizes(tmp_path / "out") == [(512, 512), (512, 512), (768, 512), (768, 512)]
    for text in ("round trip", "worker 1", "worker 2", "cur_load peak"):
        assert text in done.stdout
    assert "2 workers behind a local copy of Vast's router" in done.stderr
    for shape in ("native", "stock"):
        assert done.stdout.count(shape) == 2
    assert all(path.name in done.stdout for path in (tmp_path / "out").iterdir())
    assert not processes_with(str(tmp_path))
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.timeout(240)
def test_no_job_is_lost_with_one_of_two_engines(tmp_path: Path) -> None:
    """Every workflow succeeds after one of two engines is killed while it runs a job."""
    done = cli("demo", "--workers", 1, "--gpus", 2, "--kill-one", cwd=tmp_path, timeout=80)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(sizes(tmp_path / "out")) == [(512, 512)] * 4 + [(768, 512)] * 4
    assert "1 worker with 2 engines each" in done.stderr
    assert "was killed while it ran a job" in done.stderr
    assert not processes_with(str(tmp_path))


def test_a_demo_that_cannot_start_names_the_reason(tmp_path: Path) -> None:
    """The demo exits with 1 and the reason without workflows, and without ComfyUI at --comfyui."""
    done = cli("demo", "--workflows", tmp_path, cwd=tmp_path)
    assert (done.returncode, "there is no workflow in" in done.stderr) == (1, True)
    done = cli("demo", "--comfyui", "http://127.0.0.1:9", cwd=tmp_path)
    assert (done.returncode, "no ComfyUI responds at http://127.0.0.1:9" in done.stderr) == (1, True)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("on", "client"), [("modal", "modal 1.6.4"), ("runpod", "POST /runsync"), ("none", "comfy-worker run")]
)
def test_the_demo_runs_on_other_platforms(on: str, client: str, tmp_path: Path) -> None:
    """`--on` makes one picture through the client of that platform, and says which one it was."""
    (tmp_path / "tmp").mkdir()
    done = command("demo", "--on", on, cwd=tmp_path, timeout=120, TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = (tmp_path / "out").iterdir()
    assert f"client    {client}\npicture   out/{path.name}\n" in done.stdout
    assert sizes(tmp_path / "out") == [(768, 512)]
    assert not processes_with(str(tmp_path))


@pytest.mark.timeout(240)
def test_the_demo_of_the_proxy_uses_three_platforms(tmp_path: Path) -> None:
    """One URL makes pictures on stand-ins for three platforms, and nothing is left behind."""
    (tmp_path / "tmp").mkdir()
    done = command("demo", "--on", "proxy", cwd=tmp_path, timeout=200, TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 0, done.stdout + done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"proxy-modal.png", "proxy-runpod.png", "proxy-vast.png"}
    assert "12 pictures with POST /generate/sync" in done.stderr
    assert not processes_with(str(tmp_path))


def test_a_demo_on_an_unknown_platform_lists_the_names(tmp_path: Path) -> None:
    """The error lists the platforms that a demo can run on."""
    done = cli("demo", "--on", "nowhere", cwd=tmp_path)
    assert (done.returncode, "The platforms: vast, modal, runpod, proxy, none" in done.stderr) == (2, True)
