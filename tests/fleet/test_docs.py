"""`docs/deploy.md` agrees with the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.fleet.plan.test_plan import EMPTY
from worker.fleet.definition.fleet import TABLES
from worker.fleet.definition.fleet_file import read_fleet
from worker.fleet.definition.fleet_id import with_id
from worker.fleet.definition.table import Table
from worker.fleet.plan.diff import lines
from worker.fleet.plan.plan import make_plan

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "deploy.md").read_text("utf-8")
IMAGE = "ghcr.io/acme/comfy-worker@sha256:" + "4d1c8f2a" * 8


def schema() -> Iterator[tuple[str, str, str, str]]:
    """Yield (table, key, default, meaning) for each key; the default of a required key is `required`."""
    for name, table in TABLES.items():
        for key, info in table.model_fields.items():
            default = "required" if info.is_required() else default_text(info.default)
            yield name, key, default, str(info.description)


def default_text(value: object) -> str:
    if value is None or value in ("", [], {}) or isinstance(value, Table):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_key_has_its_row() -> None:
    """The table has one row for each key, in the order of the code, and no others."""
    table = DOCS.partition("\n## `vast.toml`")[2].partition("\n## ")[0].replace("`", "")
    rows = [tuple(map(str.strip, row)) for row in re.findall(r"^\|(.+?)\| (\w+) \|(.*?)\|(.+)\|$", table, re.M)]
    wanted = [
        (f"[{table}]" if table else "the file", key, default, about.replace("`", ""))
        for table, key, default, about in schema()
    ]
    assert rows[1:] == wanted


def test_the_plan_is_what_the_command_prints() -> None:
    """The page has the plan of the shipped file with an id on an empty account."""
    plan = make_plan(read_fleet(with_id((ROOT / "vast.toml").read_text("utf-8"), "3f9c2a7e81d04b56"), IMAGE), EMPTY)
    assert "\n".join(lines(plan)) in DOCS


def test_the_times_follow_from_the_inputs() -> None:
    """The table of times follows from the inputs and the formula."""
    values = {name: float(value) for name, value in re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", DOCS, re.M)}
    for name, models, prove in (("SDXL", "M_sdxl", "B_sdxl"), ("FLUX fp8", "M_flux", "B_flux")):
        for rate in (500, 2000):
            seconds = time(values, values[models], values[prove], rate)
            row = re.search(rf"^\| {name} \| {rate:,} \|(.+)\|$", DOCS, re.M)
            assert row, (name, rate)
            total = row[1].split("|")[-2].strip()
            assert total == f"{int(seconds) // 60}:{round(seconds) % 60:02}", (name, rate, seconds)
            assert ("yes" in row[1].split("|")[-1]) == (seconds < 300)


def time(v: dict[str, float], models: float, prove: float, rate: float) -> float:
    """Return the seconds from the plan's last call to a ready worker."""
    through = 8000 / (rate * v["e"])
    return round(v["A"] + v["I"] * through + v["U"] / v["u"] + v["S"] + models * through + prove)
