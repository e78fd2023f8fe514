"""Plans from the desired and the present state, without an account."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import SecretStr

from tests.fleet.wishes import IMAGE, NEXT, fleet
from worker.errors import AmbiguousName, PlanFileError, SnapshotError, StalePlan
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.desired_state import endpoint_body, group_body, template_body
from worker.fleet.plan.diff import lines, markdown
from worker.fleet.plan.facts import group_facts
from worker.fleet.plan.matching import match_groups
from worker.fleet.plan.plan import Action, Change, make_plan
from worker.fleet.plan.plan_file import as_dict, check_fresh, load
from worker.fleet.plan.snapshot import dump
from worker.fleet.plan.snapshot import load as load_snapshot
from worker.fleet.vast.rows import AccountState, EndpointRow, GroupRow, TemplateRow
from worker.fleet.vast.search import parse

EMPTY = AccountState(7, (), (), (), frozenset())


def holding(wanted: Fleet, hash_: str = "aaa") -> AccountState:
    """Return an account with just these rows."""
    template = TemplateRow(1, wanted.template.name, hash_, template_body(wanted, "before"))
    body = endpoint_body(wanted)
    endpoint = EndpointRow(2, wanted.endpoint.name, "active", body, SecretStr("endpoint-key"))
    groups = []
    for number, group in enumerate(wanted.groups.values(), 3):
        made = group_body(wanted, group, hash_)
        # As they are listed: with a field that Vast adds, and without the text.
        search = {**parse(made.pop("search_params")), "external": {"eq": False}}
        groups.append(GroupRow(number, 2, hash_, search, made))
    return AccountState(7, (template,), (endpoint,), tuple(groups), frozenset(wanted.environment))


def actions(wanted: Fleet, actual: AccountState) -> list[tuple[str, str]]:
    return [(step.action.value, step.name) for step in make_plan(wanted, actual).steps]


def test_an_empty_account_gets_everything_in_order() -> None:
    """The steps for an empty account are variables, template, endpoint and groups, in this order."""
    assert actions(fleet(), EMPTY) == [
        ("set variable", "HF_TOKEN"),
        ("create template", "comfy-worker"),
        ("create endpoint", "comfy"),
        ("create group", "fast"),
        ("create group", "cheap"),
    ]


def test_a_matching_account_needs_no_steps() -> None:
    """A matching account needs no steps, whatever fields Vast has added."""
    assert make_plan(fleet(), holding(fleet())).empty


def test_another_image_reaches_every_group() -> None:
    """Another image changes every group, and the plan shows the old and the new one."""
    plan = make_plan(fleet(NEXT), holding(fleet()))
    assert [step.action for step in plan.steps] == [
        *(Action.CHANGE_TEMPLATE, Action.CHANGE_GROUP, Action.CHANGE_GROUP),
        *(Action.UPDATE_WORKERS, Action.UPDATE_WORKERS),
    ]
    assert plan.steps[0].changes == (Change("image", IMAGE, NEXT),)
    assert "~     image  ghcr.io/acme/comfy-worker:1 -> ghcr.io/acme/comfy-worker:2" in list(lines(plan))


def test_another_price_changes_one_group_and_no_worker() -> None:
    """Another price changes the search of one group and nothing else."""
    plan = make_plan(fleet(**{"max_price__0.35": "max_price = 0.4"}), holding(fleet()))
    (step,) = plan.steps
    assert (step.action, step.name, step.id) == (Action.CHANGE_GROUP, "cheap", 4)
    assert step.changes == (Change("dph_total <=", 0.35, 0.4),)


def test_groups_are_matched_by_their_facts() -> None:
    """Groups are matched in any order, and a group that matches no name is deleted."""
    actual = holding(fleet())
    turned = replace(actual, groups=tuple(reversed(actual.groups)))
    assert make_plan(fleet(), turned).empty
    more = replace(actual, groups=(*actual.groups, replace(actual.groups[0], id=9)))
    (step,) = make_plan(fleet(), more).steps
    assert (step.action, step.id) == (Action.DELETE_GROUP, 9)
    wanted = {"one": {"max_workers": 1.0}, "two": {"max_workers": 2.0}}
    rows = [GroupRow(5, 2, "", {}, {"max_workers": 2}), GroupRow(6, 2, "", {}, {"max_workers": 1})]
    assert {name: row.id for name, row in match_groups(wanted, rows).by_name.items()} == {"one": 6, "two": 5}


def test_what_vast_does_not_show_of_a_group_is_not_compared() -> None:
    """A missing max_workers in a group's row is not a difference."""
    actual = holding(fleet())
    bare = tuple(replace(group, body={"template_hash": group.template_hash}) for group in actual.groups)
    assert "max_workers" not in group_facts(bare[0].body, bare[0].search)
    assert make_plan(fleet(), replace(actual, groups=bare)).empty


def test_a_bound_that_was_taken_out_is_noticed() -> None:
    """A bound that only the account has is a difference."""
    (step,) = make_plan(fleet(**{'regions__["NL", "DE"]': ""}), holding(fleet())).steps
    assert step.changes == (Change("geolocation in", ["DE", "NL"], None),)


def test_two_marked_endpoints_of_one_name_are_an_error() -> None:
    """Two endpoints with one name and the fleet's mark are an error."""
    actual = holding(fleet())
    twice = replace(
        actual,
        endpoints=(*actual.endpoints, replace(actual.endpoints[0], id=8)),
        groups=(*actual.groups, replace(actual.groups[0], id=9, endpoint_id=8)),
    )
    with pytest.raises(AmbiguousName, match=r"there are 2 endpoints named comfy \(2, 8\)"):
        make_plan(fleet(), twice)


def test_a_plan_is_the_same_after_its_file() -> None:
    """A plan that was written and read again is equal, and valid for its account."""
    plan = make_plan(fleet(NEXT), holding(fleet()))
    found = load(json.dumps(as_dict(plan)))
    check_fresh(found, plan)
    assert as_dict(found) == as_dict(plan)
    with pytest.raises(PlanFileError):
        load("{}")


def test_a_stale_plan_is_refused() -> None:
    """A plan is rejected when the account, the file or the image changed, or when it is offline."""
    actual = holding(fleet())
    plan = make_plan(fleet(NEXT), actual)
    moved = replace(actual, endpoints=(replace(actual.endpoints[0], state="stopped"),))
    for other, said in (
        (make_plan(fleet(NEXT), moved), "the account has changed"),
        (make_plan(fleet("ghcr.io/acme/comfy-worker:3"), actual), "--image has changed since this plan was made"),
    ):
        with pytest.raises(StalePlan, match=said):
            check_fresh(plan, other)
    with pytest.raises(StalePlan, match="stored snapshot"):
        check_fresh(make_plan(fleet(NEXT), actual, offline=True), plan)


def test_other_things_of_the_account_do_not_matter() -> None:
    """Rows of others do not affect a plan's freshness or a snapshot."""
    actual = holding(fleet())
    others = replace(
        actual,
        templates=(*actual.templates, TemplateRow(50, "other", "bbb", {"env": "-e A_TOKEN=x"})),
        endpoints=(*actual.endpoints, EndpointRow(51, "other", "active", {}, SecretStr("k"))),
        environment=actual.environment | {"OTHER"},
    )
    assert make_plan(fleet(), others).fingerprint == make_plan(fleet(), actual).fingerprint
    assert "other" not in json.dumps(dump(fleet(), others)).lower()


def test_a_snapshot_plans_the_same_and_has_no_secrets() -> None:
    """A snapshot gives the same plan, and has no secrets, keys or logins."""
    actual = holding(fleet())
    by_hand = {**actual.templates[0].body, "env": "-p 3000:3000 -e HF_TOKEN=hf_by_hand", "docker_login_user": "robot"}
    actual = replace(actual, templates=(replace(actual.templates[0], body=by_hand),))
    text = json.dumps(dump(fleet(), actual))
    for secret in ("hf_by_hand", "endpoint-key", "robot"):
        assert secret not in text
    live, stored = make_plan(fleet(NEXT), actual), make_plan(fleet(NEXT), load_snapshot(text), offline=True)
    assert (live.steps, live.fingerprint) == (stored.steps, stored.fingerprint)
    assert "hf_by_hand" not in "\n".join(lines(live))
    with pytest.raises(SnapshotError):
        load_snapshot("[]")


def test_markdown_can_not_be_broken_out_of() -> None:
    """The fence in Markdown is longer than any run of backticks in a value."""
    wanted = fleet(**{'WORKER_MODELS__"sdxl"': 'WORKER_MODELS = "````</pre>"'})
    text = markdown(make_plan(wanted, EMPTY))
    fence = text.splitlines()[4]
    assert fence == "`````diff"
    assert text.rstrip().endswith("\n`````")
    assert text.count("`````") == 2
    assert "no changes" in markdown(make_plan(fleet(), holding(fleet())))
