"""An account with several owners: other fleets, resources made by hand, and the owner of each row."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.fleet.fleet import SEARCH
from tests.fleet.wishes import carry_out, fleet
from worker.fleet.apply.rollback import roll_back, rollback_target
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.plan import fleet_resources
from worker.fleet.vast.account import Account
from worker.simulators.vast_account import LocalAccount
from worker.simulators.vast_account.account_workers import AccountWorker

BY_HAND: dict[str, Any] = {"image": "somebody/else", "tag": "1", "env": "-e A=b", "runtype": "args", "private": True}


def fleet_of(fleet_id: str, endpoint: str, template: str = "comfy-worker", image: str | None = None) -> Fleet:
    """Return the tests' fleet with another id and other names."""
    plain = fleet(image) if image else fleet()
    return plain.model_copy(
        update={
            "id": fleet_id,
            "endpoint": plain.endpoint.model_copy(update={"name": endpoint}),
            "template": plain.template.model_copy(update={"name": template}),
        }
    )


def rows(local: LocalAccount) -> dict[tuple[str, int], dict[str, Any]]:
    """Return a copy of every row of the account by kind and id."""
    own = local.holdings
    members = {number: vars_of(member) for number, member in local.workers.members.items()}
    kinds = {"template": own.templates.rows, "endpoint": own.endpoints, "group": own.groups, "instance": members}
    return copy.deepcopy({(kind, number): row for kind, of in kinds.items() for number, row in of.items()})


def vars_of(member: AccountWorker) -> dict[str, Any]:
    return {name: getattr(member, name) for name in ("id", "group_id", "endpoint_id", "template_hash")}


@dataclass
class Neighbourhood:
    """An account with the first fleet and rows of others, which `others` lists."""

    local: LocalAccount
    account: Account
    mine: Fleet
    others: set[tuple[str, int]] = field(default_factory=set)

    def make(self, random: Random) -> None:
        """Create the first fleet and a random selection of other resources, in a random order."""
        makers = [self._another_fleet, self._by_hand, self._borrower, self._guest, self._instance, self._old_release]
        chosen = [maker for maker in makers if random.random() < 0.7]
        random.shuffle(chosen)
        first = random.randrange(len(chosen) + 1)
        # What uses the fleet's template or endpoint comes after it.
        early = [one for one in chosen[:first] if one not in (self._borrower, self._guest)]
        late = [one for one in chosen if one not in early]
        for maker in early:
            self._as_other(maker, random)
        carry_out(self.account, self.mine)
        for maker in late:
            self._as_other(maker, random)

    def untouched(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Return the present rows of others; a deleted one is missing."""
        return {key: row for key, row in rows(self.local).items() if key in self.others}

    def _as_other(self, maker: Any, random: Random) -> None:
        before = set(rows(self.local))
        maker(random)
        self.account.read()
        self.others |= set(rows(self.local)) - before

    def _another_fleet(self, random: Random) -> None:
        template = random.choice(["comfy-worker", "staging-worker"])
        carry_out(self.account, fleet_of("another-fleet", "staging", template))

    def _old_release(self, _: Random) -> None:
        """Create a fleet of a release without a mark, with the template name of the shipped file."""
        template = self.account.save_template({**BY_HAND, "name": "comfy-worker", "desc": "comfy-worker"}, None)
        self._endpoint_with("old", template.hash)

    def _by_hand(self, _: Random) -> None:
        template = self.account.save_template({**BY_HAND, "name": "tool"}, None)
        self._endpoint_with("tool", template.hash)

    def _borrower(self, _: Random) -> None:
        """Create a group of others that uses the first fleet's template."""
        self._endpoint_with("borrower", self._own_hash())

    def _guest(self, _: Random) -> None:
        """Create a group of others in the first fleet's endpoint."""
        template = self.account.save_template({**BY_HAND, "name": "guest"}, None)
        (endpoint,) = (one for one in self.account.read().endpoints if one.name == self.mine.endpoint.name)
        self.account.create_group(endpoint, {"template_hash": template.hash, "search_params": SEARCH})

    def _instance(self, _: Random) -> None:
        """Create an instance that was rented without an endpoint."""
        template = self.account.save_template({**BY_HAND, "name": "single"}, None)
        self.local.workers.members[80_001] = AccountWorker(80_001, 0, 0, template.hash, 0.0)

    def _endpoint_with(self, name: str, template_hash: str) -> None:
        endpoint = self.account.create_endpoint({"endpoint_name": name, "cold_workers": 1, "max_workers": 2})
        self.account.create_group(endpoint, {"template_hash": template_hash, "search_params": SEARCH})

    def _own_hash(self) -> str:
        there = fleet_resources(self.mine, self.account.read())
        assert there.template
        return there.template.hash


def roll_back_by_hand(account: Account, mine: Fleet) -> None:
    """Roll back as the command does."""
    there = fleet_resources(mine, account.read())
    groups = {group.id: group for group in there.groups}
    roll_back(account, dict.fromkeys(groups, rollback_target(there, None)), groups, lambda _: None)
