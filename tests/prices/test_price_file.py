"""Price files of a user: what they replace, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import PriceFileError
from worker.prices.fields import FigureKey
from worker.prices.price_file import load_prices, read_prices

OWN = """
[vast.gpu.rtx-4090]
on_demand = { amount = 0.35, unit = "USD/GPU-hour", source = "our contract", date = 2026-11-01 }

[vast.storage]
running = { amount = 0.15, unit = "USD/GB-month", source = "our hosts" }
"""


def test_a_file_replaces_figures_one_by_one(tmp_path: Path) -> None:
    """Figures of the file replace those of the same place or are added, and all others stay."""
    path = tmp_path / "own.toml"
    path.write_text(OWN, "utf-8")
    shipped, table = load_prices(), load_prices(path)
    price = table.gpu("vast", "RTX 4090")
    assert (price.amount, price.source, price.date) == (0.35, "our contract", "2026-11-01")
    assert table.gpu("vast", "RTX 4090", "interruptible") == shipped.gpu("vast", "RTX 4090", "interruptible")
    assert table.figure("vast", "storage", "running").amount == 0.15
    changed = {key for key, figure in table if shipped.figures.get(key) != figure}
    assert changed == {
        FigureKey("vast", "gpu", "on_demand", "RTX 4090"),
        FigureKey("vast", "storage", "running"),
    }


def test_a_price_can_be_for_a_second_or_an_hour() -> None:
    """A GPU's price has either unit on each platform."""
    text = '[runpod.gpu.L4]\nflex = { amount = 0.72, unit = "USD/GPU-hour", source = "a page" }'
    assert load_prices().merged(read_prices(text)).gpu("runpod", "L4").usd_second == pytest.approx(0.0002)


def figure(fields: str) -> str:
    """Return a file with one figure of these fields."""
    return f'[vast.gpu."RTX 4090"]\non_demand = {{ {fields} }}'


GOOD = 'amount = 1, unit = "USD/GPU-hour", source = "a page"'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[vast", "TOML: Expected ']'"),
        ("[vsat]", "vsat: unknown platform. Known: vast, runpod, modal."),
        ("vast = 1", "vast: has to be tables, such as [vast.gpu.L4]"),
        ("[modal.cpus]", "[modal] cpus: unknown table. Did you mean 'cpu'?"),
        ("[modal]\ncpu = 1", "[modal] cpu: has to be a table of figures"),
        ("[modal.gpu]\nL4 = 1", "[modal.gpu] L4: has to be a table with `list`"),
        ('[vast.gpu."RTX 409O"]', "[vast.gpu] RTX 409O: unknown GPU. Did you mean 'RTX 4090'?"),
        (
            '[vast.gpu."RTX 4090"]\non_demnd = 3',
            "[vast.gpu.RTX 4090] on_demnd: unknown figure. Did you mean 'on_demand'?",
        ),
        (
            "[modal.cpu]\ncore = 3",
            '[modal.cpu] core: has to be a figure: core = { amount = ..., unit = "USD/core-second", source = "..." }',
        ),
        (
            figure('amount = 1, unit = "USD/GPU-hour"'),
            '[vast.gpu.RTX 4090] on_demand: `source` is missing; write where the price is from, such as source = "our',
        ),
        (figure('unit = "USD/GPU-hour", source = "a"'), "on_demand: `amount` is missing; write the price"),
        (
            figure('amount = 1, source = "a"'),
            'on_demand: `unit` is missing; write unit = "USD/GPU-hour" or "USD/GPU-second"',
        ),
        (
            figure('amount = 1, unit = "EUR", source = "a"'),
            '`unit` is \'EUR\'; write unit = "USD/GPU-hour" or "USD/GPU-second"',
        ),
        (
            figure('amount = 1, unit = "USD/GB-month", source = "a"'),
            "`unit` is 'USD/GB-month'; write unit = \"USD/GPU-hour\"",
        ),
        (figure(f"{GOOD}, dat = 1"), "unknown field `dat`. Did you mean 'date'?"),
        (figure(f"{GOOD}, x = 1"), "unknown field `x`. Known: amount, unit, source, date."),
        (figure(GOOD.replace("1", "-1")), "`amount` is -1, and has to be a number of at least 0"),
        (figure(GOOD.replace("1", "nan")), "`amount` is nan, and has to be a number of at least 0"),
        (figure(GOOD.replace("1", "true")), "`amount` is True, and has to be a number of at least 0"),
        (figure(GOOD.replace("a page", " ")), "`source` is empty; write where the price is from"),
        (figure(f'{GOOD}, date = "May"'), "`date` is 'May'; write a day (2026-05-28) or a month (2026-05)"),
        (figure(f'{GOOD}, date = "2026-13"'), "`date` is '2026-13'; write a day"),
        (
            f"{figure(GOOD)}\n[vast.gpu.rtx4090]\non_demand = {{ {GOOD} }}",
            "[vast.gpu.RTX 4090] on_demand: is here twice, under two names of the GPU; keep one",
        ),
    ],
)
def test_a_problem_names_the_table_the_field_and_the_cure(text: str, problem: str) -> None:
    """Each problem of a file has its table, its field, and what to write."""
    with pytest.raises(PriceFileError) as caught:
        read_prices(text)
    assert caught.value.code == "prices_invalid"
    assert problem in str(caught.value.problems[0])


def test_all_problems_are_listed_at_once() -> None:
    """A file with three problems has three lines in its error."""
    text = '[vsat]\n[modal.cpu]\ncore = { amount = -1, unit = "USD/core-second", source = "" }'
    with pytest.raises(PriceFileError) as caught:
        read_prices(text)
    assert len(caught.value.problems) == len(str(caught.value).splitlines()) == 3


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are a problem of the file, and a missing file is an OSError."""
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(PriceFileError, match="UTF-8"):
        load_prices(path)
    with pytest.raises(FileNotFoundError):
        load_prices(tmp_path / "gone.toml")
