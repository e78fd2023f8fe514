"""Every change of an account, with every fault of a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from tests.fleet.fleet import ENDPOINT, SEARCH, TEMPLATE, group, quick
from worker.fleet.vast.account import Account, EndpointRow, GroupRow, TemplateRow
from worker.simulators.vast_account import AccountFaultConfig, CallFault, LocalAccount, run_in_thread


@dataclass(frozen=True)
class Ground:
    """One row of each kind; the template has a newer version that nothing uses yet."""

    old: TemplateRow
    template: TemplateRow
    endpoint: EndpointRow
    group: GroupRow


def fill(account: Account) -> Ground:
    account.set_environment("HF_TOKEN", "secret-token")
    old = account.save_template(TEMPLATE, None)
    template = account.save_template(TEMPLATE | {"tag": "2"}, old)
    endpoint = account.create_endpoint(ENDPOINT)
    return Ground(old, template, endpoint, account.create_group(endpoint, group(old.hash)))


def set_new(account: Account, _: Ground) -> None:
    account.set_environment("S3_KEY", "one")


def set_again(account: Account, _: Ground) -> None:
    account.set_environment("hf_token", "another")


def remove_variable(account: Account, _: Ground) -> None:
    account.remove_environment("hf_token")


def save_new(account: Account, _: Ground) -> None:
    account.save_template(TEMPLATE | {"name": "another"}, None)


def save_next(account: Account, ground: Ground) -> None:
    account.save_template(TEMPLATE | {"tag": "3"}, ground.template)


def delete_template(account: Account, ground: Ground) -> None:
    account.delete_template(ground.template)


def create_endpoint(account: Account, _: Ground) -> None:
    account.create_endpoint(ENDPOINT | {"endpoint_name": "another"})


def update_endpoint(account: Account, ground: Ground) -> None:
    account.update_endpoint(ground.endpoint, ENDPOINT | {"max_workers": 9})


def stop_endpoint(account: Account, ground: Ground) -> None:
    account.set_state(ground.endpoint, "stopped")


def delete_endpoint(account: Account, ground: Ground) -> None:
    account.delete_endpoint(ground.endpoint)


def create_group(account: Account, ground: Ground) -> None:
    """Create a group with the template of the existing one, and check which one is new."""
    made = account.create_group(ground.endpoint, group(ground.old.hash, "num_gpus=2 " + SEARCH))
    assert made.id != ground.group.id


def update_group(account: Account, ground: Ground) -> None:
    account.update_group(ground.group, group(ground.template.hash, "num_gpus=2 " + SEARCH))


def delete_group(account: Account, ground: Ground) -> None:
    account.delete_group(ground.group)


def update_workers(account: Account, ground: Ground) -> None:
    account.update_workers(account.update_group(ground.group, group(ground.template.hash)))


def destroy_instance(account: Account, _: Ground) -> None:
    account.destroy_instance(account.instances()[0])


Change = Callable[[Account, Ground], None]

CHANGES: dict[Change, int] = {
    **{set_new: 1, set_again: 1, remove_variable: 1, save_new: 1, save_next: 1, delete_template: 1},
    **{create_endpoint: 1, update_endpoint: 1, stop_endpoint: 1, delete_endpoint: 1},
    **{create_group: 1, update_group: 1, delete_group: 1, update_workers: 2, destroy_instance: 2},
}
"""What is done, and which call of it changes something."""


def contents(local: LocalAccount) -> dict[str, Any]:
    """Return the contents of the account without keys and times."""
    own = local.holdings
    templates = [{name: value for name, value in row.items() if name != "id"} for row in own.templates.rows.values()]
    rows = [*own.endpoints.values(), *own.groups.values()]
    return {
        "environment": dict(own.environment),
        "templates": templates,
        "rows": [{name: value for name, value in row.items() if name != "api_key"} for row in rows],
        "workers": [(member.id, member.group_id, member.template_hash) for member in local.workers.members.values()],
    }


@cache
def expected(change: Change) -> dict[str, Any]:
    return after(change, {})


def after(change: Change, faults: dict[int, CallFault]) -> dict[str, Any]:
    """Return the contents of an account after the change with these faults."""
    with run_in_thread() as local, quick(local) as account:
        ground = fill(account)
        local.configure(AccountFaultConfig(faults=faults, hang_s=0.3))
        change(account, ground)
        return contents(local)


@pytest.mark.parametrize("fault", CallFault, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_fault_does_not_change_the_result(change: Change, fault: CallFault) -> None:
    """With any fault, the account ends as without it, and nothing is duplicated."""
    assert after(change, {CHANGES[change]: fault}) == expected(change)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_check_after_a_lost_response_can_fail_too(change: Change) -> None:
    """Nothing is duplicated when the check after a lost response fails twice."""
    number = CHANGES[change]
    trouble = {number: CallFault.DROPPED, number + 1: CallFault.ERROR_500, number + 2: CallFault.CLOSED}
    assert after(change, trouble) == expected(change)


def test_deleting_twice_is_no_error(local: LocalAccount, account: Account) -> None:
    """Deleting twice is not an error, and takes one call when the response is clear."""
    ground = fill(account)
    instance = account.instances()[0]
    before = account.calls
    for _ in range(2):
        account.destroy_instance(instance)
        account.delete_group(ground.group)
        account.delete_endpoint(ground.endpoint)
        account.delete_template(ground.template)
        account.remove_environment("HF_TOKEN")
    assert account.calls == before + 10
    assert (local.holdings.environment, local.holdings.templates.rows) == ({}, {})
    assert (local.holdings.endpoints, local.holdings.groups) == ({}, {})


def test_a_first_fleet_takes_nine_calls(account: Account) -> None:
    """A first fleet takes four calls to read, two for the endpoint, and one for each other row."""
    account.read()
    account.set_environment("HF_TOKEN", "secret-token")
    template = account.save_template(TEMPLATE, None)
    account.create_group(account.create_endpoint(ENDPOINT), group(template.hash))
    assert account.calls == 9


def test_updates_send_all_fields(local: LocalAccount, account: Account) -> None:
    """An update sends all fields and no nulls, so that a PUT resets nothing."""
    ground = fill(account)
    endpoint = account.set_state(ground.endpoint, "suspended")
    endpoint = account.update_endpoint(endpoint, ENDPOINT | {"max_workers": 9, "autoscaler_instance": None})
    made = account.update_group(ground.group, group(ground.template.hash, "num_gpus=2 " + SEARCH))
    actual = account.read()
    assert actual.endpoints == (endpoint,)
    assert (endpoint.state, endpoint.body) == ("suspended", ENDPOINT | {"max_workers": 9})
    assert actual.groups == (made,)
    assert [call for call in local.record.calls if None in call.body.values()] == []


def test_a_changed_template_leaves_the_old_one_to_go_back_to(account: Account) -> None:
    """A new version has another hash, and a group can still use the old one."""
    ground = fill(account)
    assert ground.template.hash != ground.old.hash
    made = account.update_group(ground.group, group(ground.template.hash))
    assert account.update_group(made, group(ground.old.hash)) == account.read().groups[0]
