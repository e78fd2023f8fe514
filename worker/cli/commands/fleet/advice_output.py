"""The output of an advice: a table and TOML for people, and an object for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from worker.fleet.advice.doubts import doubts
from worker.fleet.advice.fragment import fragment, settings_text
from worker.fleet.advice.reasons import reasons

if TYPE_CHECKING:
    from rich.table import Table

    from worker.fleet.advice.advice import Advice
    from worker.fleet.advice.checked_candidate import CheckedCandidate, ReadingResult
    from worker.fleet.advice.trial import TrialRunner
    from worker.fleet.simulation.mean_interval import MeanInterval


def advice_dict(advice: Advice, runner: TrialRunner) -> dict[str, Any]:
    """Return an advice for JSON. An infinite wait is null."""
    target, space = advice.target, runner.space
    return {
        "target": {
            "quantile": target.quantile,
            "wait_s": target.wait.seconds if target.wait else None,
            "usd_month": target.budget,
        },
        "reached": advice.is_reached,
        "platform": space.platform,
        "gpus": [*advice.gpus],
        "advice": _checked_dict(advice.checked),
        "within_budget": _checked_dict(advice.within_budget),
        "now": _checked_dict(advice.present),
        "known": {name: _checked_dict(checked) for name, checked in advice.known.items()},
        "about": dict(space.readings),
        "toml": _toml(advice, runner),
        "reasons": reasons(advice, runner),
        "doubts": [asdict(doubt) for doubt in doubts(advice, runner)],
        "runs": advice.runs,
    }


def _checked_dict(checked: CheckedCandidate | None) -> dict[str, Any] | None:
    """Return a choice with its range over the readings, and the results of each of them."""
    if checked is None:
        return None
    return {
        "gpu": checked.candidate.gpu,
        "settings": {name: json.loads(text) for name, text in settings_text(checked.candidate).items()},
        "keeps_target": checked.is_kept,
        "usd_month": [*checked.usd_range],
        "wait_s": [_finite(wait_s) for wait_s in checked.wait_range],
        "readings": {
            result.name: {
                "wait_s": _interval_dict(result.wait_s),
                "usd_month": _interval_dict(result.usd_month),
                "seeds_that_keep": result.kept,
                "seeds": result.seeds,
            }
            for result in checked.results
        },
    }


def _interval_dict(interval: MeanInterval) -> dict[str, float | None]:
    """Return an interval for JSON."""
    return {name: _finite(value) for name, value in asdict(interval).items()}


def _finite(value: float) -> float | None:
    """Return a number, or None for one that JSON does not have."""
    return value if math.isfinite(value) else None


def print_advice(advice: Advice, runner: TrialRunner) -> None:
    """Print the choice as TOML, a table of the readings, what binds the choice, and the doubts."""
    from rich.text import Text

    from worker.cli.output.screen import screen

    console = screen()
    console.print(Text(_headline(advice), "bold"), soft_wrap=True)
    console.print()
    for line in _toml(advice, runner).splitlines():
        console.print(Text(f"  {line}".rstrip()), soft_wrap=True)
    console.print()
    console.print(_table(advice))
    console.print()
    sections = (
        ("If you knew the reading", [*_known_lines(advice)] if len(advice.known) > 1 else []),
        ("Within the budget", [*_budget_lines(advice)]),
        ("What binds the choice", reasons(advice, runner)),
        ("What this cannot know", [doubt.message for doubt in doubts(advice, runner)]),
    )
    for title, lines in sections:
        if lines:
            console.print(Text(title, "bold"))
        for line in lines:
            console.print(Text(f"- {line}"), soft_wrap=True)
    console.print(Text(f"{advice.runs} runs. No file was changed.", "dim"), soft_wrap=True)


def _headline(advice: Advice) -> str:
    """Return the result in a sentence."""
    low, high = advice.checked.usd_range
    dollars = f"${low:,.0f}" if round(low) == round(high) else f"${low:,.0f} to ${high:,.0f}"
    figures = f"{advice.target.quantile_name} wait {_waits(advice.checked)}, {dollars} a month"
    if advice.is_reached:
        return f"Advice for {advice.target}: {figures}"
    return f"Nothing keeps {advice.target}. The nearest: {figures}"


def _table(advice: Advice) -> Table:
    """Return the table: a row for each reading, with what the file has now and with the advice."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    quantile = advice.target.quantile_name
    for title in ("reading", f"now: {quantile} wait", "$ a month", f"advice: {quantile} wait", "$ a month", "seeds"):
        table.add_column(Text(title), justify="left" if title == "reading" else "right")
    for result in advice.checked.results:
        before = _cells(advice.present.result(result.name)) if advice.present else ("-", "-")
        seeds = f"{result.kept} of {result.seeds}"
        table.add_row(*map(Text, (result.name, *before, *_cells(result), seeds)))
    return table


def _cells(result: ReadingResult) -> tuple[str, str]:
    """Return wait and dollars with half the width of their intervals."""
    usd = result.usd_month
    half = usd.high - usd.mean
    return _interval(result.wait_s), f"{usd.mean:,.0f}" + (f" ± {half:,.0f}" if half >= 0.5 else "")


def _interval(wait_s: MeanInterval) -> str:
    """Return a wait with half the width of its interval."""
    half = wait_s.high - wait_s.mean
    is_known = math.isfinite(wait_s.mean) and half >= 0.05
    return f"{wait_s.mean:,.1f} ± {half:,.1f} s" if is_known else _wait(wait_s.mean)


def _wait(seconds: float) -> str:
    """Return a wait for people."""
    return f"{seconds:,.1f} s" if math.isfinite(seconds) else "never"


def _waits(checked: CheckedCandidate) -> str:
    """Return the range of a wait over the readings."""
    short, long = map(_wait, checked.wait_range)
    return short if short == long else f"{short} to {long}"


def _known_lines(advice: Advice) -> Iterator[str]:
    """Yield for each reading what would be best, if it were certain."""
    for name, checked in advice.known.items():
        dollars = f"{name}: ${checked.usd_range[0]:,.0f} a month, wait {_wait(checked.wait_range[0])}"
        yield f"{dollars}, with {_changes(checked, advice.checked)}"


def _budget_lines(advice: Advice) -> Iterator[str]:
    """Yield the shortest waits that the budget allows, where the target exceeds it."""
    if advice.within_budget is not None:
        figures = f"{advice.target.quantile_name} wait {_waits(advice.within_budget)}"
        dollars = f"${advice.within_budget.usd_range[1]:,.0f} a month"
        yield f"{dollars}: {figures}, with {_changes(advice.within_budget, advice.checked)}"


def _changes(other: CheckedCandidate, checked: CheckedCandidate) -> str:
    """Return in what another choice differs."""
    before = settings_text(checked.candidate)
    now = settings_text(other.candidate)
    parts = [f"{name} = {value}" for name, value in now.items() if before[name] != value]
    parts += [f"the GPU {other.candidate.gpu}"] if other.candidate.gpu != checked.candidate.gpu else []
    return ", ".join(parts) or "the same settings"


def _toml(advice: Advice, runner: TrialRunner) -> str:
    """Return what to write into the fleet file."""
    space = runner.space
    return fragment(space.fleet, space.platform, advice.checked.candidate, space.present())
