"""Every fault in every way to ask: what was accepted ends, once, and the worker serves again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from chaos.clients.ledger import JobLedger
from chaos.document import Chapter
from chaos.faults import CASES, SHORT, SILENCE_S, FaultCase
from chaos.finding import RunFinding, at_least, fact, none
from chaos.testbed import real
from chaos.testbed.cell import JOB_S, SETTINGS, Cell, Way, pause, play
from chaos.testbed.clock import clock_env
from chaos.testbed.real import Real
from chaos.testbed.testbed import testbed
from chaos.watch import complaints
from worker.workflow.prompt import Prompt

TEXT = f"""\
`make chaos`: `comfy-worker serve --platform vast` with the embedded engine, a bucket and the autoscaler, all processes
or servers of their own on loopback. In each row jobs of all four ways are in flight when the fault strikes; each has
an id of its own, and five more have one graph. Clients whose connection breaks, or who are told that they may, ask
again under it, as a real one would. Then each asks once more: the end has to be the same. *In flight*: sync / async /
stream / through Vast. *Noticed*: from the fault to the worker's own words about it. *Serving*: from then, or from the
end of what somebody else had to mend, to the next finished job. *Again*: runs beyond a job's first, as far as the
engine lived to tell. *For nothing*: jobs that the engine finished twice, by its own history. Silence counts after
{SILENCE_S:g} s here (30 s by default), of a node likewise (15 min). Rows with an asterisk only simulate what a GPU
would do."""
REAL_TEXT = """\
The rows of the table above that a real ComfyUI can be made to have (`python -m chaos matrix --comfyui FOLDER --workflow
FILE`): 0.33.0 with RES4LYF and ControlAltAI on a CPU, started by the worker; the fault strikes while it samples (random
weights). Two jobs of each way are in flight; silence counts after 15 s."""
SERVING_S, START_S = 15.0, 5.0
LEAST = 5
HEAD = ("fault", "in flight", "noticed, s", "serving, s", "ends", "again", "for nothing")


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    jobs: int
    """Of each way."""
    seed: int
    short: bool
    only: str = ""
    """Rows that have this in their name."""

    real: Real | None = None

    def work(self, number: int) -> Prompt:
        return self.real.job(number) if self.real else pause(number, JOB_S)

    @property
    def env(self) -> Mapping[str, str]:
        return {**SETTINGS, **(self.real.env if self.real else {})}

    @property
    def start_s(self) -> float:
        return real.START_S if self.real else START_S

    def within_s(self, case: FaultCase) -> float:
        """How soon a fault has to be noticed."""
        return case.within_s + (real.SILENCE_S if self.real else 0.0)

    @property
    def cases(self) -> list[tuple[int, FaultCase]]:
        chosen = [(number, case) for number, case in enumerate(CASES) if self.only.lower() in case.name.lower()]
        among = real.NAMES if self.real else SHORT if self.short else {case.name for case in CASES}
        return [(number, case) for number, case in chosen if case.name in among]


FULL, SHORTER = MatrixPlan(7, 1, short=False), MatrixPlan(6, 1, short=True)


async def matrix(plan: MatrixPlan, folder: Path) -> Chapter:
    started = time.monotonic()
    cells, logs = [], []
    for number, case in plan.cases:
        home = folder / str(number)
        cells.append(await _cell(case, plan, home))
        print(" | ".join(_row(cells[-1])), flush=True)
        logs += sorted(home.glob("*.log"))
    played = [cell for cell in cells if not cell.skipped]
    findings = [*_findings(played, plan), *complaints([log for log in logs if log.exists()])]
    facts = [("seconds", f"{time.monotonic() - started:.0f}"), ("jobs of each way in each row", str(plan.jobs))]
    title, text = ("Faults, on a real ComfyUI", REAL_TEXT) if plan.real else ("Faults", TEXT)
    return Chapter(title, text, findings, [HEAD, *map(_row, cells)], facts)


async def _cell(case: FaultCase, plan: MatrixPlan, home: Path) -> Cell:
    home.mkdir(parents=True, exist_ok=True)
    clock = clock_env(home) if case.clock else {}
    if clock is None:
        return Cell(case, JobLedger(), {}, skipped="libfaketime is not installed")
    async with small_disk(home / "state", case.disk_mib) as mounted:
        if case.disk_mib and not mounted:
            return Cell(case, JobLedger(), {}, skipped="a file system may not be mounted here")
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with (
            testbed(home, {**plan.env, **case.env, **clock}, apart=case.apart) as scene,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http,
        ):
            return await play(case, scene, http, plan)


@asynccontextmanager
async def small_disk(place: Path, mebibytes: int) -> AsyncIterator[bool]:
    """A file system of that size; yields whether it could be mounted. 0 is none."""
    place.mkdir(parents=True, exist_ok=True)
    options = ("-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(place))
    mounted = bool(mebibytes) and await _ran("mount", *options)
    try:
        yield mounted
    finally:
        if mounted:
            await _ran("umount", "--lazy", str(place))


async def _ran(*command: str) -> bool:
    try:
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    except OSError:
        return False
    return await process.wait() == 0


def _findings(cells: Sequence[Cell], plan: MatrixPlan) -> list[RunFinding]:
    entries = [(cell, entry) for cell in cells for entry in cell.ledger.entries]
    lost = [(cell.case.name, entry.scenario.number) for cell, entry in entries if not entry.heard]
    vague = [(cell.case.name, entry.heard) for cell, entry in entries if len(set(entry.heard)) > 1]
    wrong = [
        (cell.case.name, entry.scenario.number, entry.heard)
        for cell, entry in entries
        if not set(entry.heard) <= ({"success"} | _ends(cell, entry.scenario.number))
    ]
    twice = [(cell.case.name, number) for cell in cells if not cell.case.deaf for number in _twice(cell)]
    few = [cell.case.name for cell in cells if (sum if plan.real else min)(cell.in_flight.values()) < LEAST]
    late = [(cell.case.name, cell.noticed_s) for cell in cells if cell.case.sign and _late(cell, plan)]
    idle = [
        (cell.case.name, cell.served_s)
        for cell in cells
        if cell.served_s is None or cell.served_s > SERVING_S + plan.start_s
    ]
    return [
        at_least("cells (faults x ways)", len(cells) * len(Way), len(cells) * len(Way)),
        fact("jobs", len(entries)),
        none(f"rows with too few jobs in flight (< {LEAST}{'' if plan.real else ' of a way'})", len(few), few),
        none("jobs lost", len(lost), lost),
        none("jobs with two different ends", len(vague), vague),
        none("jobs that ended otherwise than they had to", len(wrong), wrong),
        none("jobs that the engine finished twice", len(twice), twice),
        none("faults noticed too late, or not at all", len(late), late),
        none(f"not serving within {SERVING_S:g} s and ComfyUI's own start", len(idle), idle),
    ]


def _twice(cell: Cell) -> list[int]:
    """Numbers of jobs that the engine finished twice. 0 is the graph that several jobs have."""
    return [number for number, ran in cell.completed.items() if number and ran > 1]


def _ends(cell: Cell, number: int) -> set[str]:
    """Others than success, which only the job that brings the fault about may have."""
    return set(cell.case.ends) if number == cell.trigger else set()


def _late(cell: Cell, plan: MatrixPlan) -> bool:
    return cell.noticed_s is None or cell.noticed_s > plan.within_s(cell.case)


def _row(cell: Cell) -> tuple[str, ...]:
    name = cell.case.name + " \\*" * cell.case.simulated
    if cell.skipped:
        return (name, cell.skipped, "", "", "", "", "")
    again = sum(ran - 1 for number, ran in cell.runs.items() if number and ran > 1)
    ends = ", ".join(f"{end} {count}" for end, count in sorted(cell.ledger.ends().items()))
    flight = " / ".join(str(cell.in_flight[way]) for way in Way)
    return (name, flight, _seconds(cell.noticed_s), _seconds(cell.served_s), ends, str(again), str(len(_twice(cell))))


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
