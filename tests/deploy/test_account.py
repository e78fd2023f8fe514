"""Every change, under everything that can happen to a call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.deploy.fleet import ENDPOINT, SEARCH, TEMPLATE, group
from worker.deploy.account import Account, Endpoint, Group, Template
from worker.deploy.local_account import Conduct, Fault, LocalAccount, running


def fill(account: Account) -> tuple[Template, Endpoint, Group]:
    """One of each."""
    account.set_environment("HF_TOKEN", "secret-token")
    template = account.save_template(TEMPLATE, None)
    endpoint = account.create_endpoint(ENDPOINT)
    return template, endpoint, account.create_group(endpoint, group(template.hash))


def set_new(account: Account) -> None:
    account.set_environment("S3_KEY", "one")


def set_again(account: Account) -> None:
    fill(account)
    account.set_environment("hf_token", "another")


def remove_variable(account: Account) -> None:
    fill(account)
    account.remove_environment("hf_token")


def save_new(account: Account) -> None:
    account.save_template(TEMPLATE, None)


def save_next(account: Account) -> None:
    template, _, _ = fill(account)
    account.save_template(TEMPLATE | {"tag": "2"}, template)


def delete_template(account: Account) -> None:
    account.delete_template(fill(account)[0])


def create_endpoint(account: Account) -> None:
    account.create_endpoint(ENDPOINT)


def update_endpoint(account: Account) -> None:
    account.update_endpoint(fill(account)[1], ENDPOINT | {"max_workers": 9})


def stop_endpoint(account: Account) -> None:
    account.set_state(fill(account)[1], "stopped")


def delete_endpoint(account: Account) -> None:
    account.delete_endpoint(fill(account)[1])


def create_second_group(account: Account) -> None:
    """Of the same template as the first."""
    template, endpoint, _ = fill(account)
    account.create_group(endpoint, group(template.hash, "num_gpus=2 " + SEARCH))


def update_group(account: Account) -> None:
    template, _, old = fill(account)
    new = account.save_template(TEMPLATE | {"tag": "2"}, template)
    account.update_group(old, group(new.hash, "num_gpus=2 " + SEARCH))


def delete_group(account: Account) -> None:
    account.delete_group(fill(account)[2])


def update_workers(account: Account) -> None:
    template, _, old = fill(account)
    new = account.save_template(TEMPLATE | {"tag": "2"}, template)
    account.update_workers(account.update_group(old, group(new.hash)))


def destroy_instance(account: Account) -> None:
    fill(account)
    account.destroy_instance(account.instances()[0])


CHANGES: dict[Callable[[Account], None], int] = {
    **{set_new: 1, set_again: 6, remove_variable: 6, save_new: 1, save_next: 6, delete_template: 6},
    **{create_endpoint: 1, update_endpoint: 6, stop_endpoint: 6, delete_endpoint: 6, create_second_group: 6},
    **{update_group: 7, delete_group: 6, update_workers: 8, destroy_instance: 7},
}
"""What is done, and the number of the call that matters: those before it only lay the ground."""


def held(local: LocalAccount) -> dict[str, Any]:
    """All that the account holds, keys and times aside."""
    own = local.holdings
    templates = [{name: value for name, value in row.items() if name != "id"} for row in own.templates.rows.values()]
    rows = [*own.endpoints.values(), *own.groups.values()]
    return {
        "environment": dict(own.environment),
        "templates": templates,
        "rows": [{name: value for name, value in row.items() if name != "api_key"} for row in rows],
        "workers": [(member.id, member.group_id, member.template_hash) for member in local.crew.members.values()],
    }


@cache
def expected(change: Callable[[Account], None]) -> dict[str, Any]:
    return after(change, {})


def after(change: Callable[[Account], None], faults: dict[int, Fault]) -> dict[str, Any]:
    """What an account holds after the change."""
    conduct = Conduct(faults=faults, hang_s=0.3)
    with running(conduct) as local, Account(local.api_key, local.url, timeout_s=0.2, limit_s=8) as account:
        change(account)
        return held(local)


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_call_that_goes_wrong_changes_nothing_in_the_end(change: Callable[[Account], None], fault: Fault) -> None:
    """Whatever becomes of the call, the account holds the same as without trouble, and nothing twice."""
    assert after(change, {CHANGES[change]: fault}) == expected(change)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_looking_afterwards_may_go_wrong_too(change: Callable[[Account], None]) -> None:
    """The answer is lost, the look at what happened fails twice, and still nothing is there twice."""
    number = CHANGES[change]
    trouble = {number: Fault.DROPPED, number + 1: Fault.ERROR_500, number + 2: Fault.CLOSED}
    assert after(change, trouble) == expected(change)


def test_what_is_removed_may_be_gone_already(local: LocalAccount, account: Account) -> None:
    """Removing twice is no error, and takes one call where the answer is clear."""
    template, endpoint, made = fill(account)
    instance = account.instances()[0]
    before = account.calls
    for _ in range(2):
        account.destroy_instance(instance)
        account.delete_group(made)
        account.delete_endpoint(endpoint)
        account.delete_template(template)
        account.remove_environment("HF_TOKEN")
    assert account.calls == before + 10
    assert (local.holdings.environment, local.holdings.templates.rows) == ({}, {})
    assert (local.holdings.endpoints, local.holdings.groups) == ({}, {})


def test_a_first_fleet_takes_nine_calls(account: Account) -> None:
    """Four to look, one for each variable, template and group, two for the endpoint."""
    account.read()
    fill(account)
    assert account.calls == 9


def test_updates_send_the_whole(local: LocalAccount, account: Account) -> None:
    """Where a PUT puts what it leaves out back to its default, only what was meant to change does; no null is sent."""
    template, endpoint, made = fill(account)
    endpoint = account.update_endpoint(account.set_state(endpoint, "suspended"), ENDPOINT | {"max_workers": 9})
    made = account.update_group(made, group(template.hash, "num_gpus=2 " + SEARCH))
    actual = account.read()
    assert actual.endpoints == (endpoint,)
    assert (endpoint.state, endpoint.body) == ("suspended", ENDPOINT | {"max_workers": 9})
    assert actual.groups == (made,)
    assert [call for call in local.record.calls if None in call.body.values()] == []


def test_a_changed_template_leaves_the_old_one_to_go_back_to(account: Account) -> None:
    """A new version has another hash, and a group takes the old one still."""
    template, endpoint, made = fill(account)
    new = account.save_template(TEMPLATE | {"tag": "2"}, template)
    assert new.hash != template.hash
    made = account.update_group(made, group(new.hash))
    assert account.update_group(made, group(template.hash)) == account.read().groups[0]
    assert account.read().endpoints == (endpoint,)
