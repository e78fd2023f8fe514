"""Plots of a study: valid pictures, and the same bytes for the same runs."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from PIL import Image

from worker.fleet.simulation.study.plot import drawn
from worker.fleet.simulation.study.series import BINS, STEPS, RunSeries

HOUR = 3600.0
EDGES = [24 * HOUR * number / STEPS for number in range(STEPS + 1)]
RUN = RunSeries(
    name="A",
    about="follows the arriving load",
    bin_s=[24 * HOUR * number / BINS for number in range(BINS + 1)],
    wait_p95_s=[float(number) for number in range(BINS - 2)] + [float("nan"), float("inf")],
    demand=[1.5] * BINS,
    step_s=EDGES,
    ready=[2.0] * STEPS,
    starting=[0.5] * STEPS,
    waiting=[3.0] * STEPS,
    usd=[at_s / HOUR for at_s in EDGES],
)
RUNS = [RUN, replace(RUN, name="B", about="also drains"), replace(RUN, name="C", about="prepares")]


def texts(svg: bytes) -> str:
    """Return the comments of an SVG, in which matplotlib writes each text that it draws as outlines."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))  # noqa: S314 - our own
    root = ElementTree.fromstring(svg, parser)  # noqa: S314
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return "\n".join(str(element.text) for element in root.iter() if element.tag is ElementTree.Comment)


def test_an_svg_has_a_panel_for_each_story() -> None:
    """The SVG is valid, and has titles with units for waits, workers, queue and cost."""
    found = texts(drawn(RUNS, "my trace", "svg", datetime(2026, 11, 30, 9, tzinfo=UTC)))
    for text in (
        *("my trace", "Wait until the start", "Workers in A, which follows", "Workers in C, which prepares"),
        *("Jobs that have arrived", "Cost so far", "seconds", "dollars", "hours since the start, 2026-11-30 09:00"),
        "B: $24.00",
    ):
        assert text in found


def test_a_run_without_prices_has_no_cost_panel() -> None:
    """Without a price, there is no panel for the cost."""
    found = texts(drawn([replace(RUN, usd=[])], "my trace", "svg"))
    assert "Cost" not in found
    assert "Jobs that have arrived" in found


def test_a_png_is_a_picture() -> None:
    """The PNG can be decoded, and has more than one color."""
    picture = Image.open(io.BytesIO(drawn(RUNS, "my trace", "png")))
    picture.load()
    assert picture.format == "PNG"
    assert picture.width > 1000
    assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 10


@pytest.mark.timeout(60)
def test_a_plot_is_the_same_in_every_process() -> None:
    """The SVG has no date and no random id: another process draws the same bytes."""
    program = (
        "import sys; from tests.fleet.simulation.study.test_plot import RUNS, drawn; "
        "sys.stdout.buffer.write(drawn(RUNS, 'my trace', 'svg'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=50)
    assert done.stdout == drawn(RUNS, "my trace", "svg")
    assert b"<dc:date>" not in done.stdout
