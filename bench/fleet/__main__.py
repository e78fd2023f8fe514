"""`python -m bench.fleet [PART ...]`: measure, print the rows, write docs/fleet.md, and fail if a target is missed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench import machine
from bench.fleet import million, replay, theory
from bench.fleet.part import HEAD, FleetPart
from bench.fleet.reports.measure import measure as measure_reports
from bench.load.page import MeasuredPart, with_part

PAGE = Path("docs/fleet.md")


def main() -> None:
    """Measure the chosen parts and write the page. Exit with 1 if a target is missed."""
    options = _options().parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        sys.exit(f"unknown part: {', '.join(sorted(unknown))}. The parts are {', '.join(PARTS)}.")
    missed = []
    for name in options.parts or PARTS:
        began, load_before = time.monotonic(), machine.load()
        result = PARTS[name](options)
        facts = [*_facts(began, load_before), ("command", f"`python -m bench.fleet {name}`")]
        missed += [row.what for row in result.rows if row.met is False]
        for row in result.rows:
            print("  ".join(row.cells), flush=True)
        if options.short:
            print("\n\n".join(result.notes))
        else:
            _write(MeasuredPart(name, result, facts))
    sys.exit(f"missed: {'; '.join(missed)}" if missed else None)


def _facts(began: float, load_before: str) -> list[tuple[str, str]]:
    """Return the facts of a run that has just ended."""
    return [
        ("when", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, took {time.monotonic() - began:.0f} s"),
        *((fact, value) for fact, value in machine.facts() if fact in ("processor", "memory")),
        ("load average", f"{load_before} before, {machine.load()} after"),
    ]


def _write(part: MeasuredPart) -> None:
    """Write the rows, the notes and the plots of a part to the docs."""
    PAGE.write_text(with_part(PAGE.read_text("utf-8"), part, list(PARTS), HEAD), "utf-8")
    for file, svg in part.result.plots.items():
        (PAGE.parent / file).write_text(svg, "utf-8")


PARTS: Mapping[str, Callable[[argparse.Namespace], FleetPart]] = {
    "theory": lambda options: theory.measure(short=options.short),
    "million": lambda options: million.measure(short=options.short),
    "reports": lambda options: measure_reports(short=options.short),
    "replay": lambda options: replay.measure(short=options.short),
}
"""The parts by name, in the order of the table."""


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"parts to measure: {', '.join(PARTS)}; default: all")
    parser.add_argument("--short", action="store_true", help="few jobs, as a check of the benchmark; writes nothing")
    return parser


if __name__ == "__main__":
    main()
