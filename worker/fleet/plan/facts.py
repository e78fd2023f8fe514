"""Things of an account as flat facts, {key: value}: what is wanted and what is there in the same words."""

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
OF_GROUPS = ("gpu_ram", "max_workers")


def template_facts(body: Body) -> Facts:
    """Ports and variables one by one. Login and description are left out: the first can't be read back for certain, the
    second only remembers."""
    tag = body.get("tag")
    image = f"{body.get('image', '')}:{tag}" if tag else str(body.get("image", ""))
    facts: Facts = {"image": image}
    facts |= {name: body.get(name) or None for name in PLAIN}
    for name, value in parse_env(str(body.get("env") or "")).items():
        port = name.startswith("-")
        facts[name.replace("-p ", "port ") if port else f"env.{name}"] = True if port else value
    facts |= {f"filter {name}": value for name, value in search_facts(normal(body.get("extra_filters"))).items()}
    return _plain(facts)


def endpoint_facts(body: Body) -> Facts:
    return _plain({name: value for name, value in body.items() if name != "endpoint_name"})


def group_facts(body: Body, search: Mapping[str, Mapping[str, Any]]) -> Facts:
    """Without the template's hash, which is compared by itself, and without what no file can say."""
    return _plain({**search_facts(search), **{name: body[name] for name in OF_GROUPS if name in body}})


def search_facts(query: Mapping[str, Mapping[str, Any]]) -> Facts:
    """A bound each: `gpu_ram >=`. Fields that no file can name are Vast's own additions."""
    return {
        f"{field} {SIGNS.get(op, op).strip()}": value
        for field, bounds in query.items()
        if field in FIELDS
        for op, value in bounds.items()
    }


def _plain(facts: Facts) -> Facts:
    """Whole and broken numbers alike, and nothing that says nothing."""
    floats = {key: float(value) if _number(value) else value for key, value in facts.items()}
    return {key: value for key, value in floats.items() if value not in (None, "", [])}


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
