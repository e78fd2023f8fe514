"""Rows of an account as flat facts, {key: value}, so that the present and the desired state can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vastai.utils import parse_env

from worker.fleet.vast.offer import FIELDS, SIGNS
from worker.fleet.vast.search import normal

Facts = dict[str, Any]
Body = Mapping[str, Any]

PLAIN = (
    *("args_str", "onstart", "docker_login_repo", "recommended_disk_space", "runtype", "use_ssh", "ssh_direct"),
    *("jup_direct", "use_jupyter_lab", "private"),
)
GROUP_KEYS = ("gpu_ram", "max_workers")


def template_facts(body: Body) -> Facts:
    """Return the facts of a template, with one fact for each port and each variable.

    The login is left out, because it may not be readable. The description is left out, because it only records hashes.
    """
    tag = body.get("tag")
    image = f"{body.get('image', '')}:{tag}" if tag else str(body.get("image", ""))
    facts: Facts = {"image": image}
    facts |= {name: body.get(name) or None for name in PLAIN}
    for name, value in parse_env(str(body.get("env") or "")).items():
        if name.startswith("-"):  # an option such as `-p 3000:3000`
            facts[name.replace("-p ", "port ")] = True
        else:
            facts[f"env.{name}"] = value
    facts |= {f"filter {name}": value for name, value in search_facts(normal(body.get("extra_filters"))).items()}
    return _plain(facts)


def endpoint_facts(body: Body) -> Facts:
    """Return the facts of an endpoint, without its name."""
    return _plain({name: value for name, value in body.items() if name != "endpoint_name"})


def group_facts(body: Body, search: Mapping[str, Mapping[str, Any]]) -> Facts:
    """Return the facts of a group that a file can set, except the template's hash, which is compared separately.

    `search` is the group's query: {field: {operator: value}}.
    """
    return _plain({**search_facts(search), **{name: body[name] for name in GROUP_KEYS if name in body}})


def search_facts(query: Mapping[str, Mapping[str, Any]]) -> Facts:
    """Return one fact for each bound of a query, such as `gpu_ram >=`. The value is the bound.

    `query` is {field: {operator: value}}. Fields that no file can set are left out, because Vast adds them itself.
    """
    return {
        f"{field} {SIGNS.get(op, op).strip()}": value
        for field, bounds in query.items()
        if field in FIELDS
        for op, value in bounds.items()
    }


def _plain(facts: Facts) -> Facts:
    """Return the facts with all numbers as floats and without empty values."""
    floats = {key: float(value) if _is_number(value) else value for key, value in facts.items()}
    return {key: value for key, value in floats.items() if value not in (None, "", [])}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
