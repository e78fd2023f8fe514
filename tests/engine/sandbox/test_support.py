"""Tests of the sandbox's state for different kernels and settings."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from tests.engine.sandbox.launching import needs_landlock
from tests.engine.supervised import supervised
from worker.cli.checks.sandbox import needs_capabilities, sandbox
from worker.engine.config import engine_configs, log_sandbox_gaps
from worker.engine.process.failed_packs import FailedPack
from worker.engine.process.sandbox.support import SandboxState, sandbox_status
from worker.engine.process.supervisor import Supervisor
from worker.errors import StartupError, WorkerFailed
from worker.settings import Settings

MAIN = """
import json, os
try:
    said = open("SECRET").read()
except OSError as error:
    said = error.strerror
raise SystemExit(json.dumps([said, os.environ["HOME"]]))
"""


def state(version: int, mode: str = "auto", network: str = "all") -> tuple[str, str]:
    environ = {"WORKER_SANDBOX": mode, "WORKER_ENGINE_NETWORK": network}
    found = sandbox_status(Settings.from_env(environ).sandbox, version)
    return found.state.value, found.reason


@pytest.mark.parametrize(
    ("version", "expected", "reason"),
    [
        (7, "on", ""),
        (6, "on", ""),
        (5, "partial", "signals"),
        (2, "partial", "emptying files"),
        (-errno.ENOSYS, "unavailable", "no Landlock"),
        (-errno.EOPNOTSUPP, "unavailable", "lsm="),
        (-errno.EPERM, "unavailable", "seccomp"),
    ],
)
def test_auto_takes_what_there_is(version: int, expected: str, reason: str) -> None:
    """`sandbox_status` gives the reason under auto, and `required` rejects every state but on."""
    found, why = state(version)
    assert (found, reason in why) == (expected, True)
    if expected != "on":
        with pytest.raises(StartupError, match="WORKER_SANDBOX=required"):
            state(version, "required")


def test_a_network_that_can_not_be_closed_is_no_secret() -> None:
    """`sandbox_status` reports an old kernel that leaves TCP open, or rejects it."""
    assert "TCP connections" in state(3, network="none")[1]
    assert "TCP" not in state(4, network="none")[1]
    assert "TCP" not in state(3)[1]
    for mode in ("required", "off"):
        with pytest.raises(StartupError, match="WORKER_"):
            state(3, mode, network="none")


@needs_landlock
async def test_health_metrics_and_capabilities_name_the_state(tmp_path: Path) -> None:
    """/health, /capabilities and the metrics report the state where the worker starts ComfyUI."""
    async with supervised(tmp_path, sandbox="off") as worker:
        assert (await worker.get("/health"))[1]["sandbox"] == {"state": "off", "reason": "WORKER_SANDBOX=off"}
        async with worker.http.get(worker.app.url + "/metrics") as answer:
            assert 'comfy_worker_engine_sandbox{state="off"} 1.0' in await answer.text()


def test_off_is_logged_and_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A sandbox that is off is logged once, and reported by `comfy-worker doctor`."""
    settings = Settings.of(sandbox="off", state=tmp_path)
    log_sandbox_gaps(settings)
    assert "the sandbox of ComfyUI is off" in caplog.text
    [finding] = sandbox(settings)
    assert (finding.level, finding.name) == ("warn", "sandbox")
    assert [found.level for found in sandbox(settings.replaced(comfyui="http://127.0.0.1:1"))] == ["ok"]


def test_a_folder_that_root_reaches_by_its_capabilities_is_named(tmp_path: Path) -> None:
    """`doctor` names a folder that root could only read with CAP_DAC_OVERRIDE."""
    values = list(tmp_path.stat())
    for mode, owner, group, expected in ((0o700, 5, 5, True), (0o755, 5, 5, False), (0o700, 0, 5, False)):
        values[0], values[4], values[5] = mode, owner, group
        assert needs_capabilities(os.stat_result(values), 0o004, 0) is expected
        assert needs_capabilities(os.stat_result(values), 0o004, 1000) is False


@needs_landlock
async def test_an_engine_without_the_sandbox_reads_what_one_with_it_can_not(tmp_path: Path) -> None:
    """A program that the worker starts reads the journal only without the sandbox."""
    tree = tmp_path / "ComfyUI"
    tree.mkdir()
    outcome = {}
    for mode in ("off", "auto"):
        folder = tmp_path / mode
        folder.mkdir()
        (folder / "secret").write_text("canary")
        (tree / "main.py").write_text(MAIN.replace("SECRET", str(folder / "secret")))
        settings = Settings.from_env({"WORKER_SANDBOX": mode}, comfyui=str(tree), state=folder, engine_tries=1)
        outcome[mode] = await said_last(settings)
    assert outcome["off"][0] == "canary"
    assert outcome["auto"] == ["Permission denied", f"{tmp_path}/auto/comfyui/home"]


async def said_last(settings: Settings) -> list[str]:
    """Return the last line of an engine that exits at once."""
    [config] = await engine_configs(settings)
    assert config.command is not None
    with pytest.raises(WorkerFailed):
        await Supervisor(config.command, settings.engine).keep_running()
    last: list[str] = json.loads(config.command.logs.read_text().splitlines()[-1])
    return last


def test_a_pack_that_was_denied_something_is_reported_with_its_cure() -> None:
    """A pack whose import was denied something gets the advice about the sandbox."""
    denied = FailedPack("x", "PermissionError: [Errno 13] Permission denied: '/c/x/config.yaml'")
    assert "WORKER_SANDBOX_WRITE" in denied.cure
    assert "WORKER_SANDBOX" not in FailedPack("x", "ModuleNotFoundError: No module named 'av'").cure


def test_states_are_few() -> None:
    """The metric's label has only the known states."""
    assert {state.value for state in SandboxState} == {"on", "partial", "unavailable", "off"}
