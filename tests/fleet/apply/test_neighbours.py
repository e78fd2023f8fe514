"""What is not the fleet's is never touched, whatever else is in the account."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.fleet.fleet import SEARCH, quick
from tests.fleet.neighbours import BY_HAND, Neighbourhood, fleet_of, roll_back_by_hand, rows
from tests.fleet.wishes import IMAGE, NEXT, carry_out, fleet
from worker.errors import NoFormerVersion, NotThisFleet, StalePlan
from worker.fleet.apply.claims import InstanceClaims
from worker.fleet.apply.destroy import DestroyPlan, check_unchanged, destroy, plan_destroy
from worker.fleet.apply.rollback import target_of
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.plan import fleet_resources, make_plan
from worker.fleet.plan.versions import with_mark
from worker.fleet.vast.account import Account
from worker.fleet.vast.logs import logs_of
from worker.fleet.vast.rows import Instance
from worker.fleet.vast.status import status_of
from worker.simulators.vast_account import LocalAccount, run_in_thread


def take_away(account: Account, mine: Fleet) -> DestroyPlan:
    plan = plan_destroy(account, mine, account.read(), environment=True)
    destroy(account, plan, lambda _: None)
    return plan


@pytest.mark.parametrize("seed", range(8))
def test_every_command_leaves_the_rows_of_others_equal(seed: int) -> None:
    """Apply, update, rollback, status, logs, destroy, and an apply after it, beside a random set of neighbours."""
    mine = fleet()
    with run_in_thread() as local, quick(local) as account:
        place = Neighbourhood(local, account, mine)
        place.make(Random(seed))
        before = place.untouched()
        carry_out(account, fleet(NEXT))
        assert place.untouched() == before
        roll_back_by_hand(account, mine)
        status_of(account, mine, account.read())
        list(logs_of(account, mine, account.read(), None, (1, 5)))
        assert place.untouched() == before
        take_away(account, mine)
        assert place.untouched() == before
        check_nothing_of_mine(local, place)


def check_nothing_of_mine(local: LocalAccount, place: Neighbourhood) -> None:
    """The endpoint stays for a guest and the template for a borrower; everything else is gone."""
    left = {kind for kind, number in rows(local) if (kind, number) not in place.others}
    names = {row["endpoint_name"] for row in local.holdings.endpoints.values()}
    guest = any(row["name"] == "guest" for row in local.holdings.templates.rows.values())
    assert left <= ({"endpoint"} if guest else set()) | ({"template"} if "borrower" in names else set())


def test_destroying_one_of_two_fleets_with_a_template_name_leaves_the_other(
    local: LocalAccount, account: Account
) -> None:
    """Both files were copied from the shipped one: the names of the templates are equal, the ids are not."""
    production, staging = fleet(), fleet_of("staging-fleet", "staging")
    carry_out(account, production)
    before = rows(local)
    carry_out(account, staging)
    plan = take_away(account, staging)
    assert (len(plan.groups), len(plan.instances), len(plan.templates)) == (2, 2, 1)
    assert plan.environment == ()
    assert rows(local) == before
    assert make_plan(production, account.read()).empty


def test_what_another_tool_made_is_not_planned_over(account: Account) -> None:
    """An endpoint of the file's name without the mark: no steps, a reason that names it, and an apply is refused."""
    template = account.save_template({**BY_HAND, "name": "somebody-elses"}, None)
    endpoint = account.create_endpoint({"endpoint_name": "comfy", "cold_workers": 3})
    group = account.create_group(endpoint, {"template_hash": template.hash, "search_params": SEARCH})
    plan = make_plan(fleet(), account.read())
    assert plan.steps == ()
    (reason,) = plan.blocked
    assert f"group {group.id} uses template somebody-elses ({template.id}) without COMFY_WORKER_FLEET" in reason
    assert "`comfy-worker deploy adopt comfy`" in reason
    with pytest.raises(NotThisFleet):
        carry_out(account, fleet())


def test_a_copied_id_is_noticed(local: LocalAccount, account: Account) -> None:
    """The same id under another endpoint's or template's name: nothing is planned and nothing is destroyed."""
    carry_out(account, fleet())
    before = rows(local)
    id_ = fleet().id
    for copied in (fleet_of(id_, "staging"), fleet_of(id_, "staging", "staging-worker"), fleet_of(id_, "comfy", "new")):
        plan = make_plan(copied, account.read())
        assert plan.steps == ()
        assert any("deploy init --new" in reason or "deploy adopt comfy" in reason for reason in plan.blocked)
        removal = take_away(account, copied)
        assert removal.empty
        assert removal.conflicts
        assert rows(local) == before


def test_a_fleet_of_another_id_is_named_by_it(account: Account) -> None:
    """Whoever has lost the id finds it in the reason; the fleet is not offered for adoption."""
    carry_out(account, fleet())
    (reason,) = make_plan(fleet_of("my-new-id", "comfy"), account.read()).blocked
    assert 'write its id into the file: id = "0123456789abcdef"' in reason
    assert "adopt" not in reason


def test_a_mark_that_was_taken_out_in_the_console_is_explained(local: LocalAccount, account: Account) -> None:
    """A person edited the template: plan, apply and rollback stop, and destroy leaves the workers."""
    carry_out(account, fleet())
    template = account.read().templates[0]
    account.save_template({**template.body, "env": "-p 3000:3000"}, template)
    before = rows(local)
    plan = make_plan(fleet(), account.read())
    assert plan.steps == ()
    assert "changed in Vast's console" in plan.blocked[0]
    with pytest.raises(NotThisFleet):
        fleet_resources(fleet(), account.read())
    assert take_away(account, fleet()).empty
    assert rows(local) == before


def test_a_second_endpoint_of_the_name_stops_an_apply_and_not_a_destroy(local: LocalAccount, account: Account) -> None:
    """Between plan and apply somebody makes an endpoint of the same name; clients would find either."""
    carry_out(account, fleet())
    theirs = account.create_endpoint({"endpoint_name": "comfy", "cold_workers": 0, "max_workers": 1})
    plan = make_plan(fleet(NEXT), account.read())
    assert plan.steps == ()
    assert f"endpoint comfy ({theirs.id}) is not this fleet's" in plan.blocked[0]
    take_away(account, fleet())
    assert list(local.holdings.endpoints) == [theirs.id]


def test_a_renamed_endpoint_is_not_made_again(account: Account) -> None:
    """Renamed in the console or in the file: a second fleet beside the first would cost twice."""
    carry_out(account, fleet())
    endpoint = account.read().endpoints[0]
    account.update_endpoint(endpoint, {**endpoint.body, "endpoint_name": "other"})
    (reason,) = make_plan(fleet(), account.read()).blocked
    assert reason.startswith("endpoint other (")
    assert "`comfy-worker deploy adopt other`" in reason


def test_a_group_that_was_moved_stays_where_it_is(local: LocalAccount, account: Account) -> None:
    """Somebody gave it to an endpoint of theirs: it is theirs, and the fleet makes its own anew."""
    carry_out(account, fleet())
    theirs = account.create_endpoint({"endpoint_name": "theirs", "cold_workers": 0, "max_workers": 1})
    moved = account.read().groups[0]
    local.holdings.groups[moved.id]["endpoint_id"] = theirs.id
    plan = make_plan(fleet(), account.read())
    assert [step.action.value for step in plan.steps] == ["create group"]
    assert f"group {moved.id} of endpoint theirs ({theirs.id}) uses this fleet's template" in plan.left_alone[0]
    take_away(account, fleet())
    assert list(local.holdings.groups) == [moved.id]


def test_groups_after_a_rollback_are_still_known(account: Account) -> None:
    """They use a hash that Vast lists no more; the template's description has it, and those before it."""
    for number in range(1, 5):
        assert carry_out(account, fleet(f"{IMAGE}{number}")).ok
        if number > 1:
            roll_back_by_hand(account, fleet())
        assert len(fleet_resources(fleet(), account.read()).groups) == 2
    there = fleet_resources(fleet(), account.read())
    assert len(there.versions) > 3
    with pytest.raises(NoFormerVersion, match="is not a known version of this fleet's template"):
        target_of(there, "0" * 32)


def test_a_list_that_was_confirmed_is_not_added_to(account: Account) -> None:
    """What appears while a person reads the list is not taken away unseen."""
    carry_out(account, fleet())
    listed = plan_destroy(account, fleet(), account.read(), environment=False)
    actual = account.read()
    account.create_group(actual.endpoints[0], {**actual.groups[0].body, "search_params": "num_gpus=8"})
    with pytest.raises(StalePlan, match="run the command again"):
        check_unchanged(listed, plan_destroy(account, fleet(), account.read(), environment=False))
    check_unchanged(listed, replace(listed, instances=()))


def test_instances_are_told_apart_where_a_template_is_shared(local: LocalAccount, account: Account) -> None:
    """Workers of a borrower have the fleet's template and mark; after its group is gone they stay, and are named."""
    carry_out(account, fleet())
    place = Neighbourhood(local, account, fleet())
    place._as_other(place._borrower, Random(0))
    plan = plan_destroy(account, fleet(), account.read(), environment=False)
    theirs = {number for kind, number in place.others if kind == "instance"}
    assert theirs
    assert not theirs & {one.id for one in plan.instances}
    assert any(f"instance {min(theirs)} stays" in text for text in plan.stays)
    assert plan.templates == ()


def test_a_copy_of_the_template_is_left_alone(local: LocalAccount, account: Account) -> None:
    """A clone under another name, private or public, has the mark too: it is named, and neither used nor removed."""
    carry_out(account, fleet())
    template = account.read().templates[0]
    copies = [
        account.save_template({**template.body, "name": "copy", "private": private}, None) for private in (True, False)
    ]
    plan = make_plan(fleet(), account.read())
    assert plan.empty
    assert [f"template copy ({one.id})" in text for one, text in zip(copies, plan.left_alone, strict=True)]
    take_away(account, fleet())
    assert sorted(local.holdings.templates.rows) == [one.id for one in copies]


def test_marks_are_read_and_written_in_any_form_of_options() -> None:
    """Quotes, double spaces, other variables of a similar name; the old mark goes."""
    env = "-p 1:1  -e COMFY_WORKER_FLEET='old' -e A=b"
    assert with_mark(env, "new") == "-p 1:1  -e A=b -e COMFY_WORKER_FLEET=new"
    assert with_mark("-e MY_COMFY_WORKER_FLEET=x", "new") == "-e MY_COMFY_WORKER_FLEET=x -e COMFY_WORKER_FLEET=new"
    assert with_mark("", "new") == "-e COMFY_WORKER_FLEET=new"


def test_a_worker_of_another_endpoint_is_not_ours() -> None:
    """Not even one that was started with the fleet's template before its group got another one."""
    claims = InstanceClaims("ours", {}, frozenset({7}), frozenset(), frozenset({"aaa"}), frozenset())
    assert not claims.owns(Instance(7, "", "running", 0.2, "aaa"))
    assert claims.is_unclear(Instance(7, "", "running", 0.2, "aaa"))
    assert claims.owns(Instance(8, "", "running", 0.2, "aaa"))
    assert not claims.owns(Instance(8, "", "running", 0.2, "aaa", "", {"COMFY_WORKER_FLEET": "theirs"}))


def test_a_shared_hash_alone_makes_no_instance_ours() -> None:
    """Nor does the mark that comes with it: a group of others starts workers from the same template."""
    claims = InstanceClaims("ours", {9: 1}, frozenset(), frozenset(), frozenset({"aaa", "bbb"}), frozenset({"aaa"}))
    assert not claims.owns(Instance(8, "", "running", 0.2, "aaa"))
    assert not claims.owns(Instance(8, "", "running", 0.2, "aaa", "", {"COMFY_WORKER_FLEET": "ours"}))
    assert claims.owns(Instance(8, "", "running", 0.2, "bbb"))
    assert claims.owns(Instance(9, "", "running", 0.2, "aaa")), "its group is the fleet's"
