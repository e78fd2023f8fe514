"""Converts the keys of a group into Vast's search language, and Vast's queries back into that language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vastai.api.query import offers_mult

from worker.fleet.definition.fleet import Search
from worker.fleet.vast.search import DEFAULTS, parse

TERMS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "gpus": (("gpu_name", " in "),),
    "gpus_per_worker": (("num_gpus", "="),),
    "min_vram_gb": (("gpu_ram", ">="),),
    "min_compute_capability": (("compute_cap", ">="),),
    "min_cuda": (("cuda_max_good", ">="),),
    "min_reliability": (("reliability", ">="),),
    "max_price": (("dph_total", "<="),),
    "max_traffic_price": (("inet_down_cost", "<="), ("inet_up_cost", "<=")),
    "verified": (("verified", "="),),
    "datacenter": (("datacenter", "="),),
    "regions": (("geolocation", " in "),),
    "not_regions": (("geolocation", " notin "),),
    "min_disk_gb": (("disk_space", ">="),),
    "min_disk_mbps": (("disk_bw", ">="),),
    "min_download_mbps": (("inet_down", ">="),),
    "min_upload_mbps": (("inet_up", ">="),),
    "min_ram_gb": (("cpu_ram", ">="),),
    "min_cpu_cores": (("cpu_cores_effective", ">="),),
}
"""The terms of each key: pairs of Vast's field and an operator."""

FIELDS = frozenset({field for terms in TERMS.values() for field, _ in terms} | set(DEFAULTS))
"""Fields of a query that are compared. Vast adds others of its own."""

SIGNS = {"eq": "=", "neq": "!=", "gte": ">=", "gt": ">", "lte": "<=", "lt": "<", "in": " in ", "notin": " notin "}


def search_text(search: Search, disk_gb: float | None = None) -> str:
    """Return the search as text in Vast's language.

    With `disk_gb`, the text also has Vast's defaults, and `disk_gb` is the least disk space unless the search has its
    own bound.
    """
    terms = list(_terms(search))
    if disk_gb is not None:
        if search.min_disk_gb is None:
            terms.append(f"disk_space>={_number(disk_gb)}")
        if search.verified is None:
            terms.append("verified=True")
        terms += ["rentable=True", "rented=False"]
    return " ".join(terms)


def filters(search: Search) -> dict[str, dict[str, Any]]:
    """Return the search as a template stores it: {field: {operator: value}}. Without bounds it is empty."""
    text = search_text(search)
    return parse(text) if text else {}


def query_text(query: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a query that was read from Vast, {field: {operator: value}}, as text in Vast's language.

    Bounds with an unknown operator are left out. Vast multiplies some numbers in queries (`offers_mult` in its SDK).
    """
    return " ".join(
        f"{field}{SIGNS[op]}{_value(value, float(offers_mult.get(field, 1)))}"
        for field, bounds in query.items()
        for op, value in bounds.items()
        if op in SIGNS
    )


def _terms(search: Search) -> Iterator[str]:
    """Yield the terms of all bounds of a search. `datacenter = false` is no bound, because it allows any host."""
    for key, terms in TERMS.items():
        value = getattr(search, key)
        if value is None or value == [] or (key == "datacenter" and not value):
            continue
        for field, sign in terms:
            yield f"{field}{sign}{_term_value(key, value)}"


def _term_value(key: str, value: object) -> str:
    """Return a key's value in Vast's language: 890 for the compute capability 8.9, `any` for `verified = false`."""
    if key == "verified" and not value:
        return "any"
    if key == "min_compute_capability" and isinstance(value, float):
        return _number(round(value * 100))
    return _value(value)


def _value(value: object, scale: float = 1) -> str:
    """Return a value in Vast's language. Numbers are divided by `scale`."""
    if isinstance(value, list):
        return f"[{','.join(_value(item, scale) for item in value)}]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value / scale)
    return str(value).replace(" ", "_")


def _number(value: float) -> str:
    """Return a number without an exponent, which Vast's parser would not understand."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
