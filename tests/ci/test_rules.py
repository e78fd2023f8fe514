"""Rules of this project for the workflows."""

from __future__ import annotations

import re

import pytest

from tests.ci.workflows import ROOT, TEXTS, WORKFLOWS, WorkflowJob, jobs

PINNED = re.compile(r"(actions|docker)/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
EACH_JOB = pytest.mark.parametrize("job", jobs(), ids=str)


def test_every_action_is_pinned_to_a_commit_whose_version_stands_beside_it() -> None:
    """Every action is GitHub's or Docker's, pinned to one commit with its version."""
    found = [line for text in TEXTS.values() for line in re.findall(r"uses: (.+)", text)]
    outside = {line for line in found if not line.startswith("./.github/")}
    assert [line for line in outside if not PINNED.fullmatch(line)] == []
    assert len(outside) == len({line.partition("@")[0] for line in outside}), "one action at two versions"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_workflow_runs_foreign_code_with_rights(name: str) -> None:
    """A workflow that a fork can start has no secrets and no writing token."""
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(WORKFLOWS[name]["on"])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_right_is_given_to_all_jobs(name: str) -> None:
    """Permissions are set for each job."""
    assert WORKFLOWS[name]["permissions"] == {}


@EACH_JOB
def test_every_job_has_its_rights_and_an_end(job: WorkflowJob) -> None:
    """Every job has permissions and a time limit of at most two hours."""
    assert job.body["permissions"]
    assert job.calls or 0 < job.body["timeout-minutes"] <= 90


@pytest.mark.parametrize("job", [job for job in jobs() if job.calls], ids=str)
def test_a_called_workflow_gets_the_rights_that_its_jobs_ask_for(job: WorkflowJob) -> None:
    """A called workflow gets all permissions of its jobs."""
    file = job.body["uses"].rpartition("/")[2].removesuffix(".yml")
    order = {"none": 0, "read": 1, "write": 2}
    for called in WORKFLOWS[file]["jobs"].values():
        for right, level in called["permissions"].items():
            assert order[level] <= order[job.body["permissions"].get(right, "none")], right


def test_a_rollback_waits_for_no_approval_of_another() -> None:
    """A rollback first cancels waiting deployments, and continues if that fails."""
    found = WORKFLOWS["rollback"]["jobs"]
    assert found["rollback"]["needs"] == "clear"
    assert "!cancelled()" in found["rollback"]["if"]
    assert "environment" not in found["clear"]
    assert found["clear"]["concurrency"]["group"] != found["rollback"]["concurrency"]["group"]


@EACH_JOB
def test_scripts_take_what_they_are_given_from_the_environment(job: WorkflowJob) -> None:
    """Scripts contain no expressions."""
    assert [step["run"] for step in job.steps if "${{" in step.get("run", "")] == []


@EACH_JOB
def test_a_checkout_leaves_no_token_behind(job: WorkflowJob) -> None:
    """A checkout does not persist its token."""
    checkouts = [step["with"] for step in job.steps if step.get("uses", "").startswith("actions/checkout@")]
    assert all(given["persist-credentials"] is False for given in checkouts)


@EACH_JOB
def test_the_key_is_kept_in_an_environment_and_given_to_single_steps(job: WorkflowJob) -> None:
    """VAST_API_KEY is the only secret, in single steps of jobs without write permissions."""
    with_secret = [step for step in job.steps if "secrets." in str(step)]
    assert "secrets." not in str({name: value for name, value in job.body.items() if name != "steps"})
    assert all(re.findall(r"secrets\.(\w+)", str(step)) == ["VAST_API_KEY"] for step in with_secret)
    assert all("secrets." in step["env"]["VAST_API_KEY"] for step in with_secret)
    if with_secret:
        assert job.body["environment"] in {"plan", "production"}
        assert set(job.body["permissions"].values()) == {"read"}


def test_whatever_changes_the_fleet_waits_its_turn() -> None:
    """Only apply and rollback use `production`, one at a time and never cancelled."""
    changing = {str(job): job.body for job in jobs() if job.body.get("environment") == "production"}
    assert set(changing) == {"deploy.apply", "rollback.rollback"}
    for body in changing.values():
        assert body["concurrency"] == {"group": "production", "cancel-in-progress": False}


def test_a_plan_for_a_pull_request_has_no_key_where_it_comes_from_a_fork() -> None:
    """A plan for a fork runs in a job without the key."""
    found = WORKFLOWS["deploy"]["jobs"]
    assert "head.repo.full_name == github.repository" in found["propose"]["if"]
    assert "dependabot[bot]" in found["propose"]["if"]
    assert "needs.propose.result == 'skipped'" in found["offline"]["if"]
    assert "secrets." not in str(found["offline"])


def test_whatever_the_image_is_made_of_starts_a_build() -> None:
    """The `paths` of the workflows include every folder in .dockerignore."""
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    made_of = {line[1:] for line in ignored if line.startswith("!")} | {"Dockerfile", ".dockerignore"}
    paths = WORKFLOWS["image"]["on"]["pull_request"]["paths"]
    names = {path.removesuffix("/**") for path in paths}
    assert {name for name in made_of if name not in names and name.split("/")[0] not in names} == set()
    assert {name for name in names if not (ROOT / name).exists()} == set()
    on = WORKFLOWS["deploy"]["on"]
    assert on["push"]["paths"] == on["pull_request"]["paths"]
    assert set(on["push"]["paths"]) == {*paths, "vast.toml", ".github/workflows/deploy.yml"}
