"""The scripts of deploy.yml and rollback.yml, run unchanged with a simulated Vast account."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ci.workflows import ROOT, WORKFLOWS
from worker.simulators.vast_account import LocalAccount, run_in_thread

FIRST, SECOND = (f"ghcr.io/us/fleet@sha256:{digit * 64}" for digit in "12")
FLEET = """
id = "0123456789abcdef"

[template]
name = "ours"
image = "ghcr.io/us/fleet"
mode = "args"
disk_gb = 40

[template.env]
WORKER_BENCHMARK = "packaged"

[endpoint]
name = "comfy"
max_workers = 2

[groups.one]
gpus = ["RTX 4090"]
max_price = 0.5
max_workers = 2

[readiness]
workers = 1
limit_s = 20
"""


@dataclass
class Checkout:
    """A folder as on a runner, with a `comfy-worker` that uses the simulated account."""

    folder: Path
    local: LocalAccount

    def step(self, job: str, name: str, image: str = "") -> str:
        """Run a step and return its outputs. Raises CalledProcessError when it fails."""
        file, _, job = job.partition(".")
        (script,) = (step["run"] for step in WORKFLOWS[file]["jobs"][job]["steps"] if step.get("name") == name)
        output = self.folder / "output"
        output.write_text("")
        given = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md")}
        env = os.environ | given | {"IMAGE": image, "VAST_API_KEY": self.local.api_key}
        shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)  # a runner's `shell: bash`
        subprocess.run(shell, cwd=self.folder, env=env, check=True, capture_output=True, text=True)
        return output.read_text()

    def deploy(self, image: str) -> None:
        assert self.step("deploy.plan", "plan", image) == "changes=yes\n"
        self.step("deploy.apply", "apply")

    @property
    def image(self) -> str:
        """Return the image of the groups' containers."""
        (group,) = self.local.holdings.groups.values()
        return str(self.local.holdings.templates.versions[group["template_hash"]]["image"])


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """Yield a folder with a fleet that is not deployed."""
    (tmp_path / "vast.toml").write_text(FLEET)
    command = tmp_path / ".venv" / "bin" / "comfy-worker"
    command.parent.mkdir(parents=True)
    with run_in_thread() as local:
        call = shlex.join(["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "worker"])
        command.write_text(f'#!/bin/sh\nexec {call} "$@" --server-url {local.url}\n')
        command.chmod(0o755)
        yield Checkout(tmp_path, local)


def test_a_push_to_main_changes_the_fleet_once(checkout: Checkout) -> None:
    """The shown plan is applied, and the same image then has no changes."""
    checkout.deploy(FIRST)
    assert checkout.image == FIRST
    assert f"+     image                   {FIRST}" in (checkout.folder / "summary.md").read_text()
    assert checkout.step("deploy.plan", "plan", FIRST) == ""


def test_a_plan_that_was_allowed_too_late_is_refused(checkout: Checkout) -> None:
    """The apply of a stale plan fails and does not change the fleet."""
    checkout.step("deploy.plan", "plan", SECOND)
    late = (checkout.folder / "plan.json").read_bytes()
    checkout.deploy(FIRST)
    (checkout.folder / "plan.json").write_bytes(late)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        checkout.step("deploy.apply", "apply")
    assert "has changed since this plan was made" in refused.value.stderr
    assert checkout.image == FIRST


def test_a_rollback_restores_the_previous_image(checkout: Checkout) -> None:
    """A rollback without a commit restores the previous image."""
    checkout.deploy(FIRST)
    checkout.deploy(SECOND)
    checkout.step("rollback.rollback", "to what the fleet ran before")
    assert checkout.image == FIRST


def test_what_is_kept_of_a_deployment_has_no_key_in_it(checkout: Checkout) -> None:
    """Snapshot, logs and summary have no key."""
    checkout.deploy(FIRST)
    checkout.step("deploy.apply", "the fleet as it is now, for plans without a key")
    checkout.step("deploy.apply", "what the fleet says")
    keys = [checkout.local.api_key, *(row["api_key"] for row in checkout.local.holdings.endpoints.values())]
    kept = [checkout.folder / name for name in ("snapshot.json", "logs/status.txt", "logs/logs.txt", "summary.md")]
    for path in kept:
        text = path.read_text()
        assert text.strip(), path
        assert not [key for key in keys if key in text], path
