"""`comfy-worker deploy` for people and pipelines, on a simulated account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import cli
from tests.fleet.wishes import FLEET, IMAGE, NEXT, VALUES, carry_out, fleet
from worker.fleet.plan.plan import make_plan
from worker.fleet.plan.plan_file import as_dict
from worker.fleet.vast.account import Account
from worker.simulators.vast_account import AccountFaultConfig, LocalAccount, WorkerLifecycle, run_in_thread


class DeployUser:
    """A user with a `vast.toml`, a key and values in the environment."""

    def __init__(self, home: Path, local: LocalAccount) -> None:
        self.home = home
        self.local = local
        self.said = ""
        (home / "vast.toml").write_text(FLEET, "utf-8")

    def deploy(self, name: str, *arguments: str, code: int = 0, image: str | None = IMAGE, **env: str) -> str:
        """Run `comfy-worker deploy` and return its standard output."""
        image_option = ("--image", image) if image and name in ("plan", "apply") else ()
        given = {"VAST_API_KEY": self.local.api_key, **VALUES, **env}
        arguments = ("deploy", name, *arguments, *image_option, "--server-url", self.local.url)
        done = cli(*arguments, cwd=self.home, **given)
        self.said += done.stdout + done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def has(self, image: str) -> None:
        """The account does, by way of the same functions."""
        with Account(self.local.api_key, self.local.url) as account:
            assert carry_out(account, fleet(image)).ok

    def tells_no_secret(self, text: str) -> None:
        keys = [row["api_key"] for row in self.local.holdings.endpoints.values()]
        assert not [secret for secret in (*VALUES.values(), self.local.api_key, *keys) if secret in text]


@pytest.fixture
def person(tmp_path: Path) -> Iterator[DeployUser]:
    with run_in_thread() as local:
        yield DeployUser(tmp_path, local)


@pytest.fixture
def applied(person: DeployUser) -> DeployUser:
    """A user who has applied the first version."""
    person.has(IMAGE)
    return person


def test_plan_exits_with_2_and_apply_makes_the_changes(person: DeployUser) -> None:
    """`plan` lists the steps with exit code 2, and `apply` makes them in at most twelve calls."""
    assert "+ create endpoint comfy" in person.deploy("plan", code=2)
    done = json.loads(person.deploy("apply", "--json"))
    assert (done["ok"], done["steps"], done["ready"]) == (True, 5, 2)
    assert done["calls"] <= 12
    person.tells_no_secret(person.said)


def test_plan_without_changes_exits_with_0(applied: DeployUser) -> None:
    """`plan` exits with 0 without changes, and with 2 for another image, which it shows."""
    assert applied.deploy("plan").startswith("no changes")
    assert "~     image  ghcr.io/acme/comfy-worker:1 -> ghcr.io/acme/comfy-worker:2" in applied.deploy(
        "plan", code=2, image=NEXT
    )


def test_status_and_logs(applied: DeployUser) -> None:
    """`status` and `logs` show groups by their names, the total price, and the autoscaler's text."""
    status = json.loads(applied.deploy("status", "--json"))
    assert [row["name"] for row in status["groups"]] == ["fast", "cheap"]
    assert status["dollars_per_hour"] == 0.5
    assert "== group cheap" in applied.deploy("logs", "--group", "cheap")
    applied.tells_no_secret(applied.said)


def test_destroy_asks_and_leaves_nothing(applied: DeployUser) -> None:
    """`destroy` without confirmation changes nothing, and with `--yes` deletes everything."""
    applied.deploy("destroy", code=1)
    assert len(applied.local.holdings.groups) == 2
    applied.deploy("destroy", "--yes", "--environment")
    own = applied.local.holdings
    assert not any((own.environment, own.endpoints, own.groups, applied.local.workers.members))
    assert own.templates.listed({"creator_id": {"eq": own.user_id}}) == []


def test_destroy_without_a_fleet_is_no_error(person: DeployUser) -> None:
    """`destroy` without a fleet is not an error."""
    assert "the account has nothing of this fleet" in person.deploy("destroy")


def test_a_plan_in_a_file_is_applied_once(person: DeployUser) -> None:
    """`apply --plan` applies a stored plan with the image that it was made with."""
    person.deploy("plan", "--out", "plan.json", code=2)
    person.tells_no_secret((person.home / "plan.json").read_text("utf-8"))
    assert "5 changes" in person.deploy("apply", "--plan", "plan.json", image=None)


def test_every_form_of_a_plan_has_its_warnings(person: DeployUser) -> None:
    """Warnings appear in each form of the plan, and change neither the plan nor the exit code."""
    (person.home / "vast.toml").write_text(FLEET.replace("disk_gb = 60", "disk_gb = 16"), "utf-8")
    assert "! template: disk_gb = 16 is too small" in person.deploy("plan", code=2)
    assert "- **Warning** template: disk_gb" in person.deploy("plan", "--markdown", code=2)
    assert len(json.loads(person.deploy("plan", "--json", code=2))["warnings"]) == 1


def test_a_stale_plan_is_refused(person: DeployUser) -> None:
    """`apply --plan` refuses a plan when the account has changed."""
    with Account(person.local.api_key, person.local.url) as account:
        plan = as_dict(make_plan(fleet(), account.read()))
    (person.home / "plan.json").write_text(json.dumps(plan), "utf-8")
    person.has(IMAGE)
    person.deploy("apply", "--plan", "plan.json", image=None, code=1)
    assert "the account has changed since this plan was made" in person.said


def test_a_plan_against_a_snapshot_needs_no_key(applied: DeployUser) -> None:
    """`plan --snapshot` works without a key and prints Markdown."""
    held = applied.deploy("snapshot")
    applied.tells_no_secret(held)
    (applied.home / "snapshot.json").write_text(held, "utf-8")
    applied.local.record.clear()
    told = applied.deploy("plan", "--snapshot", "snapshot.json", "--markdown", image=NEXT, code=2, VAST_API_KEY="")
    assert told.startswith("### Plan for `vast.toml` against a stored snapshot\n")
    assert "!     image  " in told
    assert not applied.local.record.calls


def test_a_bad_version_goes_back(applied: DeployUser) -> None:
    """`apply` of a bad version exits with 1 and rolls back, so that a rollback has nothing to do."""
    applied.local.configure(AccountFaultConfig(lifecycles={NEXT: WorkerLifecycle(final_status="error")}))
    applied.deploy("apply", image=NEXT, code=1)
    assert "rolled back to the previous version: fast, cheap" in applied.said
    assert "0 of 2 groups were put back" in applied.deploy("rollback")


def test_a_rollback_by_hand(applied: DeployUser) -> None:
    """`rollback` is an error for a first version, and otherwise restores groups and workers."""
    applied.deploy("rollback", code=1)
    assert "the template names no previous version; give one with --to HASH" in applied.said
    (first,) = {row["template_hash"] for row in applied.local.holdings.groups.values()}
    applied.has(NEXT)
    assert "2 of 2 groups were put back" in applied.deploy("rollback")
    assert {row["template_hash"] for row in applied.local.holdings.groups.values()} == {first}
    assert {member.template_hash for member in applied.local.workers.members.values()} == {first}


def test_an_invalid_file_and_a_missing_key_are_reported(person: DeployUser) -> None:
    """Problems of the file, with their keys, and a missing API key are reported."""
    (person.home / "bad.toml").write_text("endpint = 1\n", "utf-8")
    person.deploy("plan", "--file", "bad.toml", code=1)
    assert "  endpint: unknown key. Did you mean 'endpoint'?" in person.said
    person.deploy("plan", code=1, VAST_API_KEY="")
    assert "VAST_API_KEY is not set" in person.said


def test_a_wrong_key_is_not_repeated(person: DeployUser) -> None:
    """The message for a wrong key has Vast's reason and not the key."""
    person.deploy("plan", code=1, VAST_API_KEY="wrong-key")
    assert "invalid user key" in person.said
    assert "wrong-key" not in person.said


def test_a_fleet_that_vast_cannot_scale_is_refused(person: DeployUser) -> None:
    """`plan` and `apply` refuse a fleet whose workers measure no job, and name the cure. Nothing is changed."""
    (person.home / "vast.toml").write_text(FLEET.replace('WORKER_MODELS = "sdxl"', ""), "utf-8")
    for name in ("plan", "apply"):
        person.deploy(name, code=1)
        assert "[template.env] WORKER_BENCHMARK: no job measures the speed of the workers" in person.said
        assert "set WORKER_MODELS to the templates of the workers, or WORKER_BENCHMARK" in person.said
    assert person.local.holdings.endpoints == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('WORKER_MODELS = "sdxl"', 'WORKER_BENCHMARK = "packaged"'),
        ('WORKER_MODELS = "sdxl"', 'WORKER_BENCHMARK = "/opt/benchmark.json"'),
        ('environment = ["HF_TOKEN"]\n', 'environment = ["HF_TOKEN", "WORKER_BENCHMARK"]\n'),
    ],
)
def test_any_choice_of_a_benchmark_is_enough(person: DeployUser, old: str, new: str) -> None:
    """A fleet may also name its benchmark in the template or in an account variable."""
    text = FLEET if "WORKER_MODELS" in old else FLEET.replace('WORKER_MODELS = "sdxl"', "")
    (person.home / "vast.toml").write_text(text.replace(old, new), "utf-8")
    person.deploy("plan", code=2)
