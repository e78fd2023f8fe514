"""`docs/proxy.md` agrees with the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from enum import StrEnum

from tests.conftest import ROOT
from worker.fleet.definition.table import Table
from worker.proxy.config.config_file import read_config
from worker.proxy.config.tables import TABLES

PAGE = (ROOT / "docs" / "proxy.md").read_text("utf-8")


def rows() -> Iterator[str]:
    """Yield the row of each key: its table, its name, its default and its meaning."""
    for name, table in TABLES.items():
        brackets = {"": "the file", "server": "`[server]`"}.get(name, f"`[[{name}]]`")
        for key, info in table.model_fields.items():
            default = "required" if info.is_required() else default_text(info.default)
            yield f"| {brackets} | `{key}` | {default} | {info.description} |"


def default_text(value: object) -> str:
    """Return a default as the page writes it. It is empty for no value and for an empty list."""
    if value is None or value in ("", ()) or isinstance(value, Table):
        return ""
    return f"`{value.value}`" if isinstance(value, StrEnum) else f"`{value}`"


def test_every_key_has_its_row() -> None:
    """The table has one row for each key, in the order of the code, and no others."""
    table = PAGE.partition("\n## `proxy.toml`")[2]
    assert [line for line in table.splitlines() if line.startswith("|")][2:] == list(rows())


def test_the_example_is_a_configuration() -> None:
    """The TOML of the page loads without a problem."""
    for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL):
        assert tomllib.loads(text)
        assert len(read_config(text).backends) == 2
