"""No command changes rows that do not belong to the fleet."""

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
from worker.fleet.apply.rollback import rollback_target
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.plan import fleet_resources, make_plan
from worker.fleet.plan.versions import with_mark
from worker.fleet.vast.account import Account
from worker.fleet.vast.logs import read_logs
from worker.fleet.vast.rows import Instance
from worker.fleet.vast.status import fleet_status
from worker.simulators.vast_account import LocalAccount, run_in_thread


def destroy_fleet(account: Account, mine: Fleet) -> DestroyPlan:
    plan = plan_destroy(account, mine, account.read(), environment=True)
    destroy(account, plan, lambda _: None)
    return plan


@pytest.mark.parametrize("seed", range(8))
def test_every_command_leaves_the_rows_of_others_equal(seed: int) -> None:
    """Every command leaves the rows of a random set of other fleets and resources unchanged."""
    mine = fleet()
    with run_in_thread() as local, quick(local) as account:
        place = Neighbourhood(local, account, mine)
        place.make(Random(seed))
        before = place.untouched()
        carry_out(account, fleet(NEXT))
        assert place.untouched() == before
        roll_back_by_hand(account, mine)
        fleet_status(account, mine, account.read())
        list(read_logs(account, mine, account.read(), None, (1, 5)))
        assert place.untouched() == before
        destroy_fleet(account, mine)
        assert place.untouched() == before
        check_nothing_of_mine(local, place)


def check_nothing_of_mine(local: LocalAccount, place: Neighbourhood) -> None:
    """Check that only rows that others use remain of the fleet."""
    left = {kind for kind, number in rows(local) if (kind, number) not in place.others}
    names = {row["endpoint_name"] for row in local.holdings.endpoints.values()}
    guest = any(row["name"] == "guest" for row in local.holdings.templates.rows.values())
    assert left <= ({"endpoint"} if guest else set()) | ({"template"} if "borrower" in names else set())


def test_destroying_one_of_two_fleets_with_a_template_name_leaves_the_other(
    local: LocalAccount, account: Account
) -> None:
    """Destroying one of two fleets with the same template name leaves the other one."""
    production, staging = fleet(), fleet_of("staging-fleet", "staging")
    carry_out(account, production)
    before = rows(local)
    carry_out(account, staging)
    plan = destroy_fleet(account, staging)
    assert (len(plan.groups), len(plan.instances), len(plan.templates)) == (2, 2, 1)
    assert plan.environment == ()
    assert rows(local) == before
    assert make_plan(production, account.read()).empty


def test_an_unmarked_endpoint_blocks_the_plan(account: Account) -> None:
    """An endpoint with the file's name and without the mark blocks the plan with a reason."""
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
    """The same id with another endpoint or template name blocks plan and destroy."""
    carry_out(account, fleet())
    before = rows(local)
    id_ = fleet().id
    for copied in (fleet_of(id_, "staging"), fleet_of(id_, "staging", "staging-worker"), fleet_of(id_, "comfy", "new")):
        plan = make_plan(copied, account.read())
        assert plan.steps == ()
        assert any("deploy init --new" in reason or "deploy adopt comfy" in reason for reason in plan.blocked)
        removal = destroy_fleet(account, copied)
        assert removal.empty
        assert removal.conflicts
        assert rows(local) == before


def test_a_fleet_of_another_id_is_named_by_it(account: Account) -> None:
    """The reason names the id of the other fleet, and does not suggest an adoption."""
    carry_out(account, fleet())
    (reason,) = make_plan(fleet_of("my-new-id", "comfy"), account.read()).blocked
    assert 'write this line into the file: id = "0123456789abcdef"' in reason
    assert "adopt" not in reason


def test_a_removed_mark_is_explained(local: LocalAccount, account: Account) -> None:
    """Without the mark, plan, apply and rollback refuse, and destroy leaves the workers."""
    carry_out(account, fleet())
    template = account.read().templates[0]
    account.save_template({**template.body, "env": "-p 3000:3000"}, template)
    before = rows(local)
    plan = make_plan(fleet(), account.read())
    assert plan.steps == ()
    assert "changed in Vast's console" in plan.blocked[0]
    with pytest.raises(NotThisFleet):
        fleet_resources(fleet(), account.read())
    assert destroy_fleet(account, fleet()).empty
    assert rows(local) == before


def test_a_second_endpoint_of_the_name_stops_an_apply_and_not_a_destroy(local: LocalAccount, account: Account) -> None:
    """A second endpoint with the name, made between plan and apply, stops the apply."""
    carry_out(account, fleet())
    theirs = account.create_endpoint({"endpoint_name": "comfy", "cold_workers": 0, "max_workers": 1})
    plan = make_plan(fleet(NEXT), account.read())
    assert plan.steps == ()
    assert f"endpoint comfy ({theirs.id}) is not this fleet's" in plan.blocked[0]
    destroy_fleet(account, fleet())
    assert list(local.holdings.endpoints) == [theirs.id]


def test_a_renamed_endpoint_is_not_made_again(account: Account) -> None:
    """A renamed endpoint blocks the plan, because a second fleet would double the cost."""
    carry_out(account, fleet())
    endpoint = account.read().endpoints[0]
    account.update_endpoint(endpoint, {**endpoint.body, "endpoint_name": "other"})
    (reason,) = make_plan(fleet(), account.read()).blocked
    assert reason.startswith("endpoint other (")
    assert "`comfy-worker deploy adopt other`" in reason


def test_a_group_that_was_moved_stays_where_it_is(local: LocalAccount, account: Account) -> None:
    """A group that was moved to another endpoint stays there, and the fleet creates its own."""
    carry_out(account, fleet())
    theirs = account.create_endpoint({"endpoint_name": "theirs", "cold_workers": 0, "max_workers": 1})
    moved = account.read().groups[0]
    local.holdings.groups[moved.id]["endpoint_id"] = theirs.id
    plan = make_plan(fleet(), account.read())
    assert [step.action.value for step in plan.steps] == ["create group"]
    assert f"group {moved.id} of endpoint theirs ({theirs.id}) uses this fleet's template" in plan.left_alone[0]
    destroy_fleet(account, fleet())
    assert list(local.holdings.groups) == [moved.id]


def test_groups_after_a_rollback_are_still_known(account: Account) -> None:
    """Groups with an unlisted hash belong to the fleet by the template's description."""
    for number in range(1, 5):
        assert carry_out(account, fleet(f"{IMAGE}{number}")).ok
        if number > 1:
            roll_back_by_hand(account, fleet())
        assert len(fleet_resources(fleet(), account.read()).groups) == 2
    there = fleet_resources(fleet(), account.read())
    assert len(there.versions) > 3
    with pytest.raises(NoFormerVersion, match="is not a known version of this fleet's template"):
        rollback_target(there, "0" * 32)


def test_a_destroy_is_refused_after_a_change(account: Account) -> None:
    """A destroy is refused when something appeared after the list was shown."""
    carry_out(account, fleet())
    listed = plan_destroy(account, fleet(), account.read(), environment=False)
    actual = account.read()
    account.create_group(actual.endpoints[0], {**actual.groups[0].body, "search_params": "num_gpus=8"})
    with pytest.raises(StalePlan, match="run the command again"):
        check_unchanged(listed, plan_destroy(account, fleet(), account.read(), environment=False))
    check_unchanged(listed, replace(listed, instances=()))


def test_instances_of_a_shared_template_stay(local: LocalAccount, account: Account) -> None:
    """Workers of others with the fleet's template and mark stay, and are named."""
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
    """A copy of the template with another name has the mark, but is neither used nor deleted."""
    carry_out(account, fleet())
    template = account.read().templates[0]
    copies = [
        account.save_template({**template.body, "name": "copy", "private": private}, None) for private in (True, False)
    ]
    plan = make_plan(fleet(), account.read())
    assert plan.empty
    assert [f"template copy ({one.id})" in text for one, text in zip(copies, plan.left_alone, strict=True)]
    destroy_fleet(account, fleet())
    assert sorted(local.holdings.templates.rows) == [one.id for one in copies]


def test_marks_are_read_and_written_in_any_form_of_options() -> None:
    """Marks are read with quotes, double spaces and similar names, and old marks are removed."""
    env = "-p 1:1  -e COMFY_WORKER_FLEET='old' -e A=b"
    assert with_mark(env, "new") == "-p 1:1  -e A=b -e COMFY_WORKER_FLEET=new"
    assert with_mark("-e MY_COMFY_WORKER_FLEET=x", "new") == "-e MY_COMFY_WORKER_FLEET=x -e COMFY_WORKER_FLEET=new"
    assert with_mark("", "new") == "-e COMFY_WORKER_FLEET=new"


def test_a_worker_of_another_endpoint_is_not_owned() -> None:
    """A worker of another endpoint is not the fleet's, even with the fleet's template."""
    claims = InstanceClaims("ours", {}, frozenset({7}), frozenset(), frozenset({"aaa"}), frozenset())
    assert not claims.owns(Instance(7, "", "running", 0.2, "aaa"))
    assert claims.is_unclear(Instance(7, "", "running", 0.2, "aaa"))
    assert claims.owns(Instance(8, "", "running", 0.2, "aaa"))
    assert not claims.owns(Instance(8, "", "running", 0.2, "aaa", "", {"COMFY_WORKER_FLEET": "theirs"}))


def test_a_shared_hash_alone_does_not_own_an_instance() -> None:
    """A hash and mark that a group of others uses too do not make an instance the fleet's."""
    claims = InstanceClaims("ours", {9: 1}, frozenset(), frozenset(), frozenset({"aaa", "bbb"}), frozenset({"aaa"}))
    assert not claims.owns(Instance(8, "", "running", 0.2, "aaa"))
    assert not claims.owns(Instance(8, "", "running", 0.2, "aaa", "", {"COMFY_WORKER_FLEET": "ours"}))
    assert claims.owns(Instance(8, "", "running", 0.2, "bbb"))
    assert claims.owns(Instance(9, "", "running", 0.2, "aaa")), "its group is the fleet's"
