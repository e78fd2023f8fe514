"""Adoption of a fleet without the file's mark or names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fleet.fleet import SEARCH, quick
from tests.fleet.neighbours import BY_HAND, fleet_of, rows
from tests.fleet.wishes import NEXT, VALUES, carry_out, fleet, state
from worker.errors import AmbiguousName, DeployError, MissingValues, NotThisFleet, StalePlan, VastUnreachable
from worker.fleet.apply.adopt import Adoption, adopt, check_login, check_unchanged, plan_adoption
from worker.fleet.apply.destroy import destroy, plan_destroy
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.desired_state import endpoint_body, group_body, template_body
from worker.fleet.plan.plan import Action, fleet_resources, make_plan
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import TemplateRow
from worker.simulators.vast_account import AccountFaultConfig, CallFault, LocalAccount, run_in_thread

CALLS = 8
"""Reading 5, workers, instances, template."""


def unmarked(wanted: Fleet) -> dict[str, Any]:
    """Return the template body that releases without a mark wrote."""
    body = template_body(wanted)
    return {**body, "env": body["env"].replace(f"-e COMFY_WORKER_FLEET={wanted.id} ", "")}


def old_release(account: Account, wanted: Fleet, shared: TemplateRow | None = None) -> TemplateRow:
    """Make the account as an apply of such a release left it; `shared` is a template of another fleet."""
    account.set_environment("HF_TOKEN", VALUES["HF_TOKEN"])
    template = shared or account.save_template(unmarked(wanted), None)
    endpoint = account.create_endpoint(endpoint_body(wanted))
    for spec in wanted.groups.values():
        account.create_group(endpoint, group_body(wanted, spec, template.hash))
    return template


def take_over(account: Account, wanted: Fleet, name: str = "comfy") -> Adoption:
    adoption = plan_adoption(account, wanted, account.read(), name)
    adopt(account, wanted, adoption, VALUES, lambda _: None)
    return adoption


def test_a_fleet_of_an_older_release_is_taken_over(local: LocalAccount, account: Account) -> None:
    """An adoption marks the template and leaves groups and workers as they are; the next plan updates them."""
    template = old_release(account, fleet())
    assert make_plan(fleet(), account.read()).steps == ()
    before = rows(local)
    adoption = take_over(account, fleet())
    assert len(adoption.groups) == len(adoption.instances) == 2
    assert adoption.per_hour == 0.5
    after = rows(local)
    assert {key for key in before if before[key] != after.get(key)} == {("template", template.id)}
    plan = make_plan(fleet(), account.read())
    assert [step.action for step in plan.steps] == [Action.CHANGE_GROUP] * 2 + [Action.UPDATE_WORKERS] * 2
    assert carry_out(account, fleet(NEXT)).ok
    assert make_plan(fleet(NEXT), account.read()).empty
    destroy(account, plan_destroy(account, fleet(), account.read(), environment=True), lambda _: None)
    assert not rows(local)


def test_a_second_adoption_changes_nothing(local: LocalAccount, account: Account) -> None:
    """A second adoption finds that the endpoint already belongs to the fleet."""
    old_release(account, fleet())
    take_over(account, fleet())
    before = rows(local)
    again = take_over(account, fleet())
    assert again.changes == ()
    assert rows(local) == before


@pytest.mark.parametrize("fault", [CallFault.CLOSED, CallFault.LATE, CallFault.ERROR_504], ids=lambda one: one.name)
@pytest.mark.parametrize("number", range(1, CALLS + 2))
def test_an_adoption_survives_any_lost_response(number: int, fault: CallFault) -> None:
    """Whichever call fails, the account ends with one template that has the mark."""
    with run_in_thread() as local, quick(local) as account:
        old_release(account, fleet())
        local.configure(AccountFaultConfig(faults={number: fault}, hang_s=0.5))
        take_over(account, fleet())
        assert len(state(local)["templates"]) == 1
        assert len(fleet_resources(fleet(), account.read()).groups) == 2


def test_an_interrupted_adoption_is_completed(account: Account) -> None:
    """After an adoption that was interrupted before the rename, the next one renames the endpoint."""
    old_release(account, fleet_of("unused", "before"))
    adoption = plan_adoption(account, fleet(), account.read(), "before")
    assert "is renamed to comfy: clients find it by its name" in adoption.changes[1]
    adopt(account, fleet(), replace(adoption, endpoint_body=None), VALUES, lambda _: None)
    again = take_over(account, fleet(), "before")
    assert len(again.changes) == 1
    assert len(fleet_resources(fleet(), account.read()).groups) == 2


def test_two_old_fleets_of_one_template_are_taken_over_one_by_one(local: LocalAccount, account: Account) -> None:
    """Each of two fleets with one template gets its own template, and the shared one does not change."""
    production, staging = fleet(), fleet_of("staging-fleet", "staging")
    shared = old_release(account, production)
    old_release(account, staging, shared)
    row = local.holdings.templates.rows[shared.id]
    (change,) = take_over(account, production).changes
    assert f"because other endpoints use template comfy-worker ({shared.id})" in change
    take_over(account, staging, "staging")
    assert local.holdings.templates.rows[shared.id] == row
    before = [key for key in rows(local) if key[0] == "instance"]
    destroy(account, plan_destroy(account, staging, account.read(), environment=False), lambda _: None)
    assert [one.name for one in account.read().endpoints] == ["comfy"]
    assert len(account.instances()) == len(before) / 2
    assert carry_out(account, production).ok


def test_an_edited_template_is_adopted_again(account: Account) -> None:
    """An adoption works when the mark was removed in the console and the groups use an unlisted version."""
    carry_out(account, fleet())
    template = account.read().templates[0]
    bare = account.save_template({**template.body, "env": "-p 3000:3000"}, template)
    take_over(account, fleet())
    assert len(fleet_resources(fleet(), account.read()).groups) == 2
    marked = account.read().templates[0]
    assert marked.id == bare.id
    for group in account.read().groups:
        account.update_group(group, {**group.body, "search_params": SEARCH, "template_hash": marked.hash})
    account.save_template({**marked.body, "tag": "by-hand", "desc": ""}, marked)
    assert make_plan(fleet(), account.read()).steps == ()
    take_over(account, fleet())
    assert len(fleet_resources(fleet(), account.read()).groups) == 2


def test_an_adoption_restores_changed_names(account: Account) -> None:
    """An adoption renames the template and the endpoint when they have the id and other names."""
    carry_out(account, fleet())
    renamed = fleet_of(fleet().id, "pictures", "picture-worker")
    assert make_plan(renamed, account.read()).steps == ()
    adoption = take_over(account, renamed)
    assert len(adoption.changes) == 2
    assert make_plan(renamed, account.read()).blocked == ()
    assert [one.name for one in account.read().endpoints] == ["pictures"]
    assert [one.name for one in account.read().templates] == ["picture-worker"]


def test_another_fleets_endpoint_is_not_adopted(local: LocalAccount, account: Account) -> None:
    """An adoption is refused for another fleet's endpoint, for a second endpoint, and for a name in use."""
    other = fleet_of("another-fleet", "staging")
    carry_out(account, other)
    carry_out(account, other.model_copy(update={"template": fleet(NEXT).template}))
    before = rows(local)
    with pytest.raises(NotThisFleet, match="belongs to the fleet another-fleet"):
        take_over(account, fleet(), "staging")
    groups = account.read().groups
    former = fleet_resources(other, account.read()).versions - {groups[0].template_hash}
    account.update_group(groups[0], {**groups[0].body, "search_params": SEARCH, "template_hash": min(former)})
    with pytest.raises(NotThisFleet, match="belongs to the fleet another-fleet"):
        take_over(account, fleet(), "staging")
    account.create_endpoint({"endpoint_name": "theirs", "cold_workers": 0})
    with pytest.raises(NotThisFleet, match="and a fleet has one endpoint"):
        take_over(account, other, "theirs")
    with pytest.raises(NotThisFleet, match="has that name"):
        take_over(account, fleet_of("third-fleet", "staging"), "theirs")
    with pytest.raises(DeployError, match=r"the account has no endpoint nothing\. Its endpoints: staging, theirs"):
        take_over(account, fleet(), "nothing")
    assert {key: row for key, row in rows(local).items() if key[0] == "template"} == {
        key: row for key, row in before.items() if key[0] == "template"
    }


def test_an_id_selects_one_of_two_equal_names(account: Account) -> None:
    """Of two endpoints with one name, which Vast allows, the id selects one."""
    old_release(account, fleet())
    template = account.save_template({**BY_HAND, "name": "tool"}, None)
    twin = account.create_endpoint({"endpoint_name": "comfy", "cold_workers": 0})
    account.create_group(twin, {"template_hash": template.hash, "search_params": SEARCH})
    with pytest.raises(AmbiguousName, match=f"give the id of one, .* or {twin.id}"):
        take_over(account, fleet())


def test_an_adoption_is_refused_after_a_change(account: Account) -> None:
    """An adoption is refused when another group appeared after the list was shown."""
    old_release(account, fleet())
    listed = plan_adoption(account, fleet(), account.read(), "comfy")
    actual = account.read()
    account.create_group(actual.endpoints[0], {**actual.groups[0].body, "search_params": "num_gpus=8"})
    with pytest.raises(StalePlan, match="run the command again"):
        check_unchanged(listed, plan_adoption(account, fleet(), account.read(), "comfy"))


def test_an_adoption_needs_the_registry_login(account: Account) -> None:
    """A template with a registry needs its login again, because Vast does not return it."""
    old_release(account, fleet())
    with pytest.raises(MissingValues, match="set REGISTRY_USER, REGISTRY_TOKEN"):
        check_login(fleet(), {})


def test_an_endpoint_without_groups_gets_the_files_parameters(account: Account) -> None:
    """An adopted endpoint without groups, which carries no mark, gets the file's parameters."""
    carry_out(account, fleet())
    actual = account.read()
    for group in actual.groups:
        account.delete_group(group)
    account.update_endpoint(actual.endpoints[0], {**actual.endpoints[0].body, "min_load": 3.0})
    assert "it has no groups" in make_plan(fleet(), account.read()).blocked[0]
    take_over(account, fleet())
    assert [step.action for step in make_plan(fleet(), account.read()).steps] == [Action.CREATE_GROUP] * 2


def test_a_destroy_that_was_cut_off_needs_no_adoption() -> None:
    """After an interrupted destroy, the endpoint without groups still belongs to the fleet."""
    with run_in_thread() as local:
        with quick(local) as account:
            carry_out(account, fleet())
            endpoint = account.read().endpoints[0]
            account.update_endpoint(endpoint, {**endpoint.body, "min_load": 3.0})
        local.configure(AccountFaultConfig(faults=dict.fromkeys(range(13, 500), CallFault.ERROR_500)))
        with quick(local, 0.1) as account, pytest.raises(VastUnreachable):
            destroy(account, plan_destroy(account, fleet(), account.read(), environment=False), lambda _: None)
        assert (len(local.holdings.groups), len(local.holdings.endpoints)) == (0, 1)
        local.configure(AccountFaultConfig())
        with quick(local) as account:
            destroy(account, plan_destroy(account, fleet(), account.read(), environment=False), lambda _: None)
        assert not rows(local)
