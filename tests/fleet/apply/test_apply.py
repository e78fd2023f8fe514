"""An apply, with a fault in every possible call."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import repeat

import pytest

from tests.fleet.fleet import quick
from tests.fleet.wishes import IMAGE, NEXT, VALUES, RecordedApply, carry_out, fleet, state
from worker.errors import DeployError, MissingValues, SmokeFailed, VastUnreachable
from worker.fleet.apply.execution import required_values
from worker.fleet.apply.smoke import SmokeResult
from worker.fleet.plan.plan import Action, make_plan
from worker.fleet.vast.account import Account
from worker.simulators.vast_account import AccountFaultConfig, CallFault, LocalAccount, WorkerLifecycle, run_in_thread

FIRST_CALLS = 10
"""Reading 4, variable, template, endpoint 2, groups 2."""
NEXT_CALLS = 11
"""Reading 5, template, groups 2, their workers 2, and a look."""
FAULTS = (CallFault.CLOSED, CallFault.LATE, CallFault.ERROR_504, CallFault.LIMITED)


def worked() -> SmokeResult:
    return SmokeResult(1, 0.1, "a worker")


def failed() -> SmokeResult:
    raise SmokeFailed("no picture")


@pytest.fixture(scope="module")
def wanted_state() -> dict[str, object]:
    """Return the state of an account without faults, after the first version and after the second."""
    with run_in_thread() as local, quick(local) as account:
        carry_out(account, fleet())
        first = state(local)
        carry_out(account, fleet(NEXT))
        return {"first": first, "next": state(local)}


def test_applied_twice_the_second_plan_is_empty(local: LocalAccount, account: Account) -> None:
    """An apply creates everything in at most twelve calls, and the plan after it is empty."""
    done = carry_out(account, fleet())
    assert done.ok
    assert done.steps == 5
    assert len(local.record.calls) - local.record.count(path="/get_endpoint_workers/") == FIRST_CALLS <= 12
    assert make_plan(fleet(), account.read()).empty
    before = state(local)
    assert carry_out(account, fleet()).steps == 0
    assert state(local) == before
    assert (len(before["templates"]), len(before["endpoints"]), len(before["groups"])) == (1, 1, 2)
    assert before["environment"] == {"HF_TOKEN": VALUES["HF_TOKEN"]}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("number", range(1, FIRST_CALLS + 2))
def test_a_first_apply_survives_any_call(number: int, fault: CallFault, wanted_state: dict[str, object]) -> None:
    """Whichever call of a first apply fails once, the account ends in the right state, without duplicates."""
    with run_in_thread(AccountFaultConfig(faults={number: fault}, hang_s=0.5)) as local, quick(local) as account:
        assert carry_out(account, fleet()).ok
        assert state(local) == wanted_state["first"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("number", range(1, NEXT_CALLS + 2))
def test_an_update_survives_any_call(number: int, fault: CallFault, wanted_state: dict[str, object]) -> None:
    """Whichever call of an update fails once, all workers get the new image."""
    with run_in_thread() as local, quick(local) as account:
        carry_out(account, fleet())
        local.configure(AccountFaultConfig(faults={number: fault}, hang_s=0.5))
        assert carry_out(account, fleet(NEXT)).ok
        assert state(local) == wanted_state["next"]


@pytest.mark.parametrize("fault", [CallFault.CLOSED, CallFault.ERROR_504], ids=lambda fault: fault.name)
@pytest.mark.parametrize("number", range(1, FIRST_CALLS + NEXT_CALLS))
def test_an_apply_that_was_cut_off_is_run_again(number: int, fault: CallFault, wanted_state: dict[str, object]) -> None:
    """After an apply that lost its connection at any call, the next apply completes it."""
    first = number <= FIRST_CALLS
    with run_in_thread() as local:
        if not first:
            with quick(local) as account:
                carry_out(account, fleet())
        start = number if first else number - FIRST_CALLS
        local.configure(AccountFaultConfig(faults=dict(zip(range(start, start + 500), repeat(fault), strict=False))))
        wanted = fleet(IMAGE if first else NEXT)
        with quick(local, 0.1) as account, pytest.raises(VastUnreachable):
            carry_out(account, wanted)
        local.configure(AccountFaultConfig())
        with quick(local) as account:
            assert carry_out(account, wanted).ok
        assert state(local) == wanted_state["first" if first else "next"]


def test_workers_that_do_not_get_ready_are_rolled_back(local: LocalAccount, account: Account) -> None:
    """When the new version never becomes ready, every group and worker returns to the previous one."""
    carry_out(account, fleet())
    before = state(local)
    local.configure(AccountFaultConfig(lifecycles={NEXT: WorkerLifecycle(final_status="loading")}))
    done = carry_out(account, fleet(NEXT))
    assert not done.ok
    assert "0 of 1 ready" in done.problem
    assert done.rolled_back == ("fast", "cheap")
    after = state(local)
    assert after["groups"] == before["groups"]
    assert after["workers"] == before["workers"]


def test_a_failed_smoke_job_rolls_back(local: LocalAccount, account: Account) -> None:
    """When the smoke job fails, the groups roll back although their workers are ready."""
    carry_out(account, fleet(), smoke=worked)
    before = state(local)
    done = carry_out(account, fleet(NEXT), smoke=failed)
    assert done.problem == "the smoke job failed: no picture"
    assert state(local)["workers"] == before["workers"]
    assert carry_out(account, fleet(NEXT), smoke=worked).ok


def test_a_first_version_has_nothing_to_go_back_to(local: LocalAccount, account: Account) -> None:
    """A failed first version is reported and stays for inspection."""
    local.configure(AccountFaultConfig(lifecycle=WorkerLifecycle(final_status="error")))
    done = carry_out(account, fleet())
    assert not done.ok
    assert done.rolled_back == ()
    assert "in error: 90001" in done.problem
    assert len(state(local)["groups"]) == 2


def test_workers_of_the_former_version_are_not_counted(local: LocalAccount, account: Account) -> None:
    """The wait goes on until workers run the new version, although old ones are idle and measured."""
    carry_out(account, fleet())
    local.configure(AccountFaultConfig(lifecycles={NEXT: WorkerLifecycle(loading_s=0.3)}))
    heard = RecordedApply()
    assert carry_out(account, fleet(NEXT, limit_s__0="limit_s = 5"), heard=heard).ok
    assert len(heard.looks) > 1


def test_a_rotated_variable_is_written_again(local: LocalAccount, account: Account) -> None:
    """A variable is written again only when it is rotated; a rotated login makes a new version."""
    carry_out(account, fleet())
    local.holdings.environment["HF_TOKEN"] = "old"
    assert make_plan(fleet(), account.read()).empty
    assert carry_out(account, fleet(), rotate=["HF_TOKEN"]).ok
    assert local.holdings.environment["HF_TOKEN"] == VALUES["HF_TOKEN"]
    plan = make_plan(fleet(), account.read(), ["REGISTRY_TOKEN"])
    assert [step.action for step in plan.steps][:2] == [Action.CHANGE_TEMPLATE, Action.CHANGE_GROUP]
    with pytest.raises(DeployError, match="--rotate OTHER: the file has no such variable"):
        make_plan(fleet(), account.read(), ["OTHER"])


def test_values_that_are_missing_are_named_before_anything_is_done(account: Account) -> None:
    """All missing values are named before the first step."""
    plan = make_plan(fleet(), account.read())
    with pytest.raises(MissingValues, match="set HF_TOKEN, REGISTRY_USER, REGISTRY_TOKEN in the environment"):
        required_values(fleet(), plan, {})


def test_an_apply_restores_manual_changes(local: LocalAccount, account: Account) -> None:
    """An apply restores a changed price and minimum, a stopped endpoint, and removes an extra group."""
    carry_out(account, fleet())
    before = state(local)
    actual = account.read()
    cheap = actual.groups[1]
    account.update_group(cheap, {**cheap.body, "search_params": "gpu_ram>=24 dph_total<=9"})
    account.update_endpoint(actual.endpoints[0], {**actual.endpoints[0].body, "min_load": 7.0})
    account.set_state(replace(actual.endpoints[0], body={**actual.endpoints[0].body, "min_load": 7.0}), "stopped")
    account.create_group(actual.endpoints[0], {**cheap.body, "search_params": "num_gpus=8"})
    plan = make_plan(fleet(), account.read())
    assert [step.action for step in plan.steps] == [
        *(Action.CHANGE_ENDPOINT, Action.SET_STATE, Action.CHANGE_GROUP, Action.DELETE_GROUP),
    ]
    assert carry_out(account, fleet()).ok
    after = state(local)
    assert {**after, "workers": 0} == {**before, "workers": 0}


def test_a_stopped_fleet_without_changes_gets_no_job(local: LocalAccount, account: Account) -> None:
    """Without changes, stopped workers count as ready, and no job is sent."""
    carry_out(account, fleet())
    local.configure(AccountFaultConfig(lifecycle=WorkerLifecycle(final_status="stopped")))
    done = carry_out(account, fleet(), smoke=failed)
    assert done.ok
    assert done.smoke is None


def test_no_value_of_the_environment_is_printed(local: LocalAccount, account: Account) -> None:
    """Neither progress messages nor errors contain a value of the environment."""
    heard = RecordedApply()
    carry_out(account, fleet(), heard=heard)
    said = f"{heard}{make_plan(fleet(NEXT), account.read())}"
    for secret in ("value-of", local.api_key, *(row["api_key"] for row in local.holdings.endpoints.values())):
        assert not re.search(secret, said)
