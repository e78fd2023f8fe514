"""The results in docs/load.md, and the plots."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.load.__main__ import PARTS
from bench.load.page import MeasuredPart, with_part
from bench.load.part import LoadRow, PartResult, not_run
from bench.load.plots import Axis, Bars, Plot, Series, padded_range, rolling

DOCS = Path(__file__).parents[3] / "docs"
PAGE = """# Load
<!-- results -->
<!-- end of results -->
## One
<!-- measured: one -->
<!-- end of measured: one -->
## Two
<!-- measured: two -->
<!-- end of measured: two -->
"""
FACTS = [("when", "today")]


def parsed(svg: str) -> ET.Element:
    """Return the root of a picture. Raises ParseError when it is not XML."""
    return ET.fromstring(svg)  # noqa: S314 - our own picture


def part(name: str, measured: str, *, met: bool | None = True) -> MeasuredPart:
    """Return a part with one row."""
    return MeasuredPart(name, PartResult([LoadRow(f"row of {name}", measured, met=met)], ["a note"]), FACTS)


def test_a_part_replaces_only_its_own_rows() -> None:
    """The rows of other parts stay, and the rows stand in the order of the parts."""
    page = with_part(PAGE, part("two", "2"), ["one", "two"])
    page = with_part(page, part("one", "1", met=False), ["one", "two"])
    page = with_part(page, part("two", "22"), ["one", "two"])
    rows = [line for line in page.splitlines() if line.startswith("| row")]
    assert rows == [
        "| row of one | - | 1 | - | **missed**<!-- one --> |",
        "| row of two | - | 22 | - | yes<!-- two --> |",
    ]
    assert page.count("a note") == 2
    assert with_part(page, part("two", "22"), ["one", "two"]) == page


def test_a_part_without_a_place_is_an_error() -> None:
    """A page without the marks of a part is rejected with the marks that it lacks."""
    with pytest.raises(ValueError, match="<!-- measured: three -->"):
        with_part(PAGE, part("three", "3"), ["one", "two", "three"])


def test_what_was_not_run_says_so() -> None:
    """A part that was not run has a row with the reason, and neither meets nor misses its target."""
    (row,) = not_run("a GPU", "no machine").rows
    assert (row.measured, row.verdict) == ("not run: no machine", "not run")


def test_the_page_has_a_place_and_rows_for_each_part() -> None:
    """docs/load.md has marks for each part of the benchmark, and at least one row of it."""
    text = (DOCS / "load.md").read_text("utf-8")
    for name in PARTS:
        assert f"<!-- measured: {name} -->" in text
        assert f"<!-- {name} --> |" in text, f"`python -m bench.load {name}` was never written to the page"


def test_the_plots_of_the_page_exist() -> None:
    """Each picture that docs/load.md shows is a file, and valid XML."""
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (DOCS / "load.md").read_text("utf-8"))
    assert pictures
    for picture in pictures:
        parsed((DOCS / picture).read_text("utf-8"))


def test_a_plot_is_valid_and_places_its_points() -> None:
    """A plot is XML. Its points are inside of the axes, those outside of the range are drawn on the border."""
    axis = Axis("seconds", 1, 100, is_log=True)
    assert [axis.position(value) for value in (1, 10, 100, 1000)] == [0, pytest.approx(0.5), 1, 1]
    assert list(axis.ticks()) == [1, 2, 5, 10, 20, 50, 100]
    plot = Plot("A & B", axis, Axis("share", 0, 1, percent=True), [Series("dots", [(10, 0.5), (500, 2)], "blue")])
    root = parsed(plot.svg())
    circles = [child.attrib for child in root if child.tag.endswith("circle")]
    assert len(circles) == 2
    assert all(60 < float(circle["cx"]) < 700 and 60 < float(circle["cy"]) < 360 for circle in circles)


def test_bars_are_valid() -> None:
    """Bars below the target have another colour."""
    svg = Bars("Families", [("flux", 0.9, "9 of 10"), ("wan", 0.5, "5 of 10")], 0.88).svg()
    parsed(svg)
    assert svg.count('class="orange"') == 1


def test_ranges_end_at_round_numbers() -> None:
    """A range for a logarithmic axis contains all values."""
    assert padded_range([0.3, 7.0, 0.0]) == (0.2, 10.0)
    assert rolling([1.0, 3.0, 2.0, 9.0], 3) == [(3, 2.0), (4, 3.0)]
