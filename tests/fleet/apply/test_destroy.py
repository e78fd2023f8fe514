"""A destroy, with a fault in every possible call."""

from __future__ import annotations

import pytest

from tests.fleet.fleet import quick
from tests.fleet.wishes import carry_out, fleet
from worker.errors import VastUnreachable
from worker.fleet.apply.destroy import destroy, plan_destroy
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import AccountState
from worker.simulators.vast_account import AccountFaultConfig, CallFault, LocalAccount, run_in_thread

CALLS = 16
"""Looking 8, endpoint 2, groups 2, instances 3, template."""


def destroy_fleet(account: Account) -> None:
    actual: AccountState = account.read()
    destroy(account, plan_destroy(account, fleet(), actual, environment=True), lambda _: None)


def remaining(local: LocalAccount) -> list[object]:
    own = local.holdings
    mine = own.templates.listed({"creator_id": {"eq": own.user_id}})
    return [one for one in (own.environment, own.endpoints, own.groups, local.workers.members, mine) if one]


@pytest.mark.parametrize(
    "fault", [CallFault.LATE, CallFault.ERROR_500, CallFault.LIMITED], ids=lambda fault: fault.name
)
@pytest.mark.parametrize("number", range(1, CALLS + 2))
def test_nothing_is_left_whichever_call_goes_wrong(number: int, fault: CallFault) -> None:
    """Whichever call fails once, a destroy leaves nothing behind."""
    with run_in_thread() as local, quick(local) as account:
        carry_out(account, fleet())
        local.configure(AccountFaultConfig(faults={number: fault}, hang_s=0.5))
        destroy_fleet(account)
        assert remaining(local) == []


@pytest.mark.parametrize("number", range(1, CALLS))
def test_a_destroy_that_was_cut_off_is_run_again(number: int) -> None:
    """A second destroy after an interrupted one deletes the rest, including leftover instances."""
    with run_in_thread() as local:
        with quick(local) as account:
            carry_out(account, fleet())
        local.configure(AccountFaultConfig(faults=dict.fromkeys(range(number, number + 500), CallFault.ERROR_504)))
        with quick(local, 0.1) as account, pytest.raises(VastUnreachable):
            destroy_fleet(account)
        local.configure(AccountFaultConfig())
        with quick(local) as account:
            destroy_fleet(account)
        assert remaining(local) == []


def test_other_things_stay(local: LocalAccount, account: Account) -> None:
    """A destroy deletes only what has the fleet's names, and variables only on request."""
    account.set_environment("OTHER", "x")
    carry_out(account, fleet())
    other = account.create_endpoint({"endpoint_name": "other", "cold_workers": 0})
    destroy(account, plan_destroy(account, fleet(), account.read(), environment=False), lambda _: None)
    assert set(local.holdings.environment) == {"OTHER", "HF_TOKEN"}
    assert list(local.holdings.endpoints) == [other.id]
