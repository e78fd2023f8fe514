"""`docs/benchmarks.md`: one section for each kind of engine, rewritten by the run that measured it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.finding import Measurement, milliseconds
from bench.measurements.peers import BURST, PeerResult

INTRODUCTION = """\
# Benchmarks

Made by `make bench`; do not edit. Two things are measured in turns, job by job, and divided round by round: the figure
is the median of the rounds, with the lower and the upper quartile behind it. Engine, worker and client are processes of
their own, on one machine. Every job ends with the picture's bytes in the client's hands: a client that speaks to
ComfyUI itself posts the prompt, hears the end on its WebSocket, reads the history and gets the file; a client of the
worker sends one request and decodes base64, or takes the file as it is where it is *answered raw* (`Accept: image/*`).

A *fresh* client opens its connections for each job and is compared with a client of the worker that does the same; a
*warm* one keeps its session and its WebSocket and is compared with a kept connection to the worker."""


ORDER = ("## In front of the embedded engine", "## In front of", "## Public peers")


@dataclass(frozen=True, slots=True)
class BenchRun:
    """What one run has to tell. `facts` are pairs of (what, value)."""

    engine: str
    findings: Sequence[Measurement]
    peer_results: Sequence[PeerResult]
    facts: Sequence[tuple[str, str]]

    @property
    def title(self) -> str:
        return f"## In front of {self.engine}"

    def sections(self) -> dict[str, str]:
        """Markdown by heading. Peers have a section of their own: most runs have none, and must not remove it."""
        facts = "\n".join(_table(("", ""), self.facts))
        tables = {self.title: _findings(self.findings)}
        if self.peer_results:
            tables[f"## Public peers in front of {self.engine}"] = _peer_results(self.peer_results)
        return {title: "\n\n".join([title, "\n".join(table), facts]) + "\n" for title, table in tables.items()}


def with_section(document: str, run: BenchRun) -> str:
    """The document with this run in the place of an earlier one before the same engine; the others stay."""
    sections = run.sections()
    before = re.split(r"^(?=## )", document, flags=re.MULTILINE)[1:]
    others = [text.rstrip() + "\n" for text in before if text.partition("\n")[0] not in sections]
    return "\n".join([f"{INTRODUCTION}\n", *sorted([*sections.values(), *others], key=_place)])


def _place(section: str) -> int:
    """Sections that others make stand at the end."""
    return ([place for place, words in enumerate(ORDER) if section.startswith(words)] or [len(ORDER)])[0]


def _findings(findings: Iterable[Measurement]) -> Iterator[str]:
    return _table(
        ("what", "here", "against", "measured (lower .. upper quartile)", "target", "met"),
        ((one.what, one.here, one.against, one.measured.show(one.unit), one.target, one.verdict) for one in findings),
    )


def _peer_results(peer_results: Iterable[PeerResult]) -> Iterator[str]:
    return _table(
        ("server", "a job", "a fresh direct client", "over it", "", f"burst of {BURST}, jobs/s over direct"),
        (
            (
                one.name,
                milliseconds(one.seconds),
                milliseconds(one.direct),
                one.ratio.show("x"),
                f"{one.above.median * 1000:+.1f} ms",
                one.burst.show("x", 3),
            )
            for one in peer_results
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
