"""The stand-in itself: its scheduler, its switches, unknown calls, and its command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulators.modal.workspace import workspace
from worker.errors import StartupError
from worker.simulators.modal import ModalAssumptions
from worker.simulators.modal.pool import PoolDemand

PAGE = (Path(__file__).parents[3] / "docs" / "modal.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("demand", "containers"),
    [
        (PoolDemand(0, 2), 0),
        (PoolDemand(1, 2), 1),
        (PoolDemand(5, 2), 3),
        (PoolDemand(5, 2, max_containers=2), 2),
        (PoolDemand(0, 2, min_containers=1), 1),
        (PoolDemand(1, 2, buffer_containers=2), 3),
    ],
)
def test_the_number_of_containers_follows_the_open_inputs(demand: PoolDemand, containers: int) -> None:
    """There is a container for each `target_inputs`, within the limits of the app."""
    assert demand.containers == containers


def test_every_assumption_is_in_the_docs_with_its_source() -> None:
    """docs/modal.md lists each switch with its default and its source."""
    rows = [f"| `{name}` | {default} | {source} |" for name, default, source in ModalAssumptions.table()]
    assert [row for row in rows if row not in PAGE] == []


async def test_what_is_not_simulated_is_named(tmp_path: Path) -> None:
    """A call that the stand-in does not know fails with the name of the call, and is recorded."""
    async with workspace(tmp_path) as space:
        code = """
try:
    modal.Queue.from_name("jobs", create_if_missing=True).hydrate()
except Exception as error:
    result = str(error)
"""
        assert "does not simulate QueueGetOrCreate" in await space.call(code)
        assert set(space.modal.state.unimplemented) == {"QueueGetOrCreate"}


async def test_a_deployment_that_fails_changes_nothing(tmp_path: Path) -> None:
    """An app whose secret does not exist is refused with its name, and the deployed one goes on."""
    broken = tmp_path / "broken.py"
    broken.write_text(
        "import modal\n"
        'app = modal.App("comfy-worker")\n'
        '@app.cls(secrets=[modal.Secret.from_name("missing")])\n'
        "class ComfyUI:\n"
        "    @modal.method()\n"
        "    async def generate(self): return 1\n"
    )
    async with workspace(tmp_path) as space:
        with pytest.raises(StartupError, match="missing"):
            await space.deploy(broken)
        assert await space.call("result = C().run_workflow.remote(workflow=given['fast'])['status']") == "success"


def test_the_command_prints_the_variables_of_clients(tmp_path: Path) -> None:
    """`python -m worker.simulators.modal` prints them, and ends at SIGTERM without leaving its folder."""
    command = [sys.executable, "-m", "worker.simulators.modal", "--secret", "comfy-worker.WORKER_TOKENS=me=token"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("export MODAL_SERVER_URL=http://127.0.0.1:")
        assert process.stdout.readline() == "export MODAL_TOKEN_ID=ak-local\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert list(tmp_path.iterdir()) == []
