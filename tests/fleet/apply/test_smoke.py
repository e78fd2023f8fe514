"""The smoke job, sent by Vast's own client to real workers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cli.terminal import environment
from tests.fleet.wishes import FLEET, IMAGE, VALUES
from worker.errors import DeployError
from worker.fleet.apply.smoke import smoke_job
from worker.fleet.definition.fleet import SmokeSpec
from worker.simulators import vast_account
from worker.simulators.vast_router.local_fleet import start_fleet
from worker.workflow.templates.library import SHIPPED, read_library

SMOKE = '\n[smoke]\ntemplate = "smoke-resize"\nparams = { width = 64, height = 64 }\n'


def test_a_job_that_can_not_be_sent_is_found_before() -> None:
    """An unknown template, with a suggestion, and an unknown parameter are errors before the apply."""
    library = read_library(SHIPPED)
    with pytest.raises(DeployError, match=r"there is no template 'smoke-resiz'. Did you mean 'smoke-resize'\?"):
        smoke_job(SmokeSpec(template="smoke-resiz"), library)
    with pytest.raises(DeployError, match=r"\[smoke\] params: .*'widt'"):
        smoke_job(SmokeSpec(params={"widt": 1}), library)


async def test_apply_sends_a_job_to_a_real_worker(tmp_path: Path) -> None:
    """A smoke job goes through router and worker at the account's URL, and returns an image."""
    (tmp_path / "vast.toml").write_text(FLEET.replace("limit_s = 0.4", "limit_s = 10") + SMOKE, "utf-8")
    command = ["serve", "--platform", "vast", "--comfyui", "embedded", "--port", "0", "--state", str(tmp_path / "w")]
    async with (
        start_fleet([command], environment(), tmp_path) as workers,
        vast_account.serve(vast=workers.vast) as local,
    ):
        await workers.wait_until_ready(20)
        key = {"VAST_API_KEY": local.api_key, **VALUES}
        arguments = ("deploy", "apply", "--image", IMAGE, "--server-url", local.url)
        done = await asyncio.to_thread(run, *arguments, cwd=tmp_path, **key)
    assert "smoke job: 1 output in" in done


def run(*arguments: str, cwd: Path, **env: str) -> str:
    from tests.cli.terminal import cli

    done = cli(*arguments, cwd=cwd, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
