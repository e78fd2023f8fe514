"""The fault matrix: every fault with jobs of every request method in flight.

Each accepted job must end exactly once, and the worker must serve again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from chaos.clients.ledger import JobLedger
from chaos.fault_cases import CASES, SHORT, SILENCE_S, FaultCase
from chaos.finding import RunFinding, at_least, expect_none, fact
from chaos.log_checks import unhandled_exceptions
from chaos.reliability_page import Chapter
from chaos.testbed import external_comfyui
from chaos.testbed.clock import clock_env
from chaos.testbed.external_comfyui import ExternalComfyUI
from chaos.testbed.fault_run import JOB_S, SETTINGS, FaultResult, RequestMethod, run_fault_case, sleep_prompt
from chaos.testbed.matrix_testbed import matrix_testbed
from worker.workflow.prompt import Prompt

TEXT = f"""\
`make chaos` runs `comfy-worker serve --platform vast` with the embedded engine, a bucket and the autoscaler, each as
a process or server of its own on loopback. In each row, jobs of all four request methods are in flight when the fault
occurs. Each job has its own id, and five more jobs share one graph. A client whose connection breaks, or that
receives a retryable error, sends its request again under the same id. After the end every client sends its request
once more and must receive the same end. The columns are:

- *In flight*: unfinished jobs by request method: sync / async / stream / through Vast.
- *Noticed*: seconds from the fault to the worker's log message about it.
- *Serving*: seconds from then, or from the end of an external repair, to the next successful job.
- *Run again*: runs beyond a job's first one, as far as the engine's history shows them.
- *Wasted*: jobs that the engine finished twice, by its own history.

For these runs `WORKER_ENGINE_SILENCE` and `WORKER_NODE_SILENCE` are {SILENCE_S:g} s (by default they are 30 s and
15 min). Rows with an asterisk only simulate what a GPU would do."""
REAL_TEXT = """\
These are the rows of the table above that work with a real ComfyUI (`python -m chaos matrix --comfyui FOLDER
--workflow FILE`): version 0.33.0 with RES4LYF and ControlAltAI on a CPU, started by the worker. The fault occurs
while ComfyUI samples with random weights. Two jobs of each request method are in flight, and
`WORKER_ENGINE_SILENCE` is 15 s."""
SERVING_S, START_S = 15.0, 5.0
MIN_IN_FLIGHT = 5
HEADER = ("fault", "in flight", "noticed, s", "serving, s", "ends", "run again", "wasted")


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    """Which cases run, and with which jobs."""

    jobs: int
    """Jobs of each request method in each case."""
    seed: int
    short: bool
    only: str = ""
    """Text that the name of a case must contain."""
    comfyui: ExternalComfyUI | None = None

    def prompt(self, number: int) -> Prompt:
        """Return the prompt of a job."""
        return self.comfyui.job(number) if self.comfyui else sleep_prompt(number, JOB_S)

    @property
    def env(self) -> Mapping[str, str]:
        """The worker's settings."""
        return {**SETTINGS, **(self.comfyui.env if self.comfyui else {})}

    @property
    def start_s(self) -> float:
        """Seconds that the engine needs to start."""
        return external_comfyui.START_S if self.comfyui else START_S

    def within_s(self, case: FaultCase) -> float:
        """Return the seconds within which the worker must notice a fault."""
        return case.within_s + (external_comfyui.SILENCE_S if self.comfyui else 0.0)

    @property
    def cases(self) -> list[tuple[int, FaultCase]]:
        """The chosen cases with their numbers."""
        if self.comfyui:
            names = external_comfyui.CASE_NAMES
        else:
            names = SHORT if self.short else frozenset(case.name for case in CASES)
        return [
            (number, case)
            for number, case in enumerate(CASES)
            if case.name in names and self.only.lower() in case.name.lower()
        ]


FULL_PLAN, SHORT_PLAN = MatrixPlan(7, 1, short=False), MatrixPlan(6, 1, short=True)


async def matrix(plan: MatrixPlan, folder: Path) -> Chapter:
    """Run the cases one after another and return the chapter."""
    started = time.monotonic()
    results, logs = [], []
    for number, case in plan.cases:
        case_folder = folder / str(number)
        results.append(await _run_case(case, plan, case_folder))
        print(" | ".join(_row(results[-1])), flush=True)
        logs += sorted(case_folder.glob("*.log"))
    finished = [result for result in results if not result.skipped]
    findings = [*_findings(finished, plan), *unhandled_exceptions([log for log in logs if log.exists()])]
    seconds = time.monotonic() - started
    facts = [("seconds", f"{seconds:.0f}"), ("jobs of each request method in each row", str(plan.jobs))]
    title, text = ("Faults, on a real ComfyUI", REAL_TEXT) if plan.comfyui else ("Faults", TEXT)
    return Chapter(title, text, findings, [HEADER, *map(_row, results)], facts)


async def _run_case(case: FaultCase, plan: MatrixPlan, folder: Path) -> FaultResult:
    """Run one case in its folder. The result says when the machine cannot run it."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = clock_env(folder) if case.movable_clock else {}
    if clock is None:
        return FaultResult(case, JobLedger(), {}, skipped="libfaketime is not installed")
    async with small_disk(folder / "state", case.disk_mib) as is_mounted:
        if case.disk_mib and not is_mounted:
            return FaultResult(case, JobLedger(), {}, skipped="mounting a file system is not allowed here")
        env = {**plan.env, **case.env, **clock}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with (
            matrix_testbed(folder, env, external_engine=case.external_engine) as testbed,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http,
        ):
            return await run_fault_case(case, testbed, http, plan)


@asynccontextmanager
async def small_disk(folder: Path, mebibytes: int) -> AsyncIterator[bool]:
    """Mount a file system of this size on a folder, and yield whether that succeeded. 0 means no file system."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ("-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder))
    is_mounted = bool(mebibytes) and await _succeeds("mount", *options)
    try:
        yield is_mounted
    finally:
        if is_mounted:
            await _succeeds("umount", "--lazy", str(folder))


async def _succeeds(*command: str) -> bool:
    """Run a command and return whether its exit code is 0."""
    try:
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    except OSError:
        return False
    return await process.wait() == 0


def _findings(results: Sequence[FaultResult], plan: MatrixPlan) -> list[RunFinding]:
    """Return the findings over all cases."""
    entries = [(result, entry) for result in results for entry in result.ledger.entries]
    lost = [(result.case.name, entry.scenario.number) for result, entry in entries if not entry.ends]
    inconsistent = [(result.case.name, entry.ends) for result, entry in entries if len(set(entry.ends)) > 1]
    wrong = [
        (result.case.name, entry.scenario.number, entry.ends)
        for result, entry in entries
        if not set(entry.ends) <= _allowed_ends(result, entry.scenario.number)
    ]
    strict = [result for result in results if not result.case.may_run_twice]
    twice = [(result.case.name, number) for result in strict for number in _finished_twice(result)]
    count_jobs = sum if plan.comfyui else min
    too_few = [result.case.name for result in results if count_jobs(result.in_flight.values()) < MIN_IN_FLIGHT]
    late = [(result.case.name, result.noticed_s) for result in results if _is_late(result, plan)]
    limit_s = SERVING_S + plan.start_s
    idle = [
        (result.case.name, result.served_s)
        for result in results
        if result.served_s is None or result.served_s > limit_s
    ]
    of_method = "" if plan.comfyui else " of a request method"
    combinations = len(results) * len(RequestMethod)
    return [
        at_least("combinations of fault and request method", combinations, combinations),
        fact("jobs", len(entries)),
        expect_none(f"rows with too few jobs in flight (< {MIN_IN_FLIGHT}{of_method})", len(too_few), too_few),
        expect_none("lost jobs", len(lost), lost),
        expect_none("jobs with two different ends", len(inconsistent), inconsistent),
        expect_none("jobs with an unexpected end", len(wrong), wrong),
        expect_none("jobs that the engine finished twice", len(twice), twice),
        expect_none("faults noticed too late, or not at all", len(late), late),
        expect_none(f"rows not serving within {SERVING_S:g} s and ComfyUI's own start", len(idle), idle),
    ]


def _finished_twice(result: FaultResult) -> list[int]:
    """Return the numbers of jobs that the engine finished twice. Number 0 is the graph that several jobs share."""
    return [number for number, completed in result.completed.items() if number and completed > 1]


def _allowed_ends(result: FaultResult, number: int) -> set[str]:
    """Return the ends that a job may have: success, and for the trigger job those of its case."""
    return {"success"} | (set(result.case.trigger_ends) if number == result.trigger else set())


def _is_late(result: FaultResult, plan: MatrixPlan) -> bool:
    """Return whether the worker should have noticed the fault but did not, or did too late."""
    case = result.case
    return bool(case.log_message) and (result.noticed_s is None or result.noticed_s > plan.within_s(case))


def _row(result: FaultResult) -> tuple[str, ...]:
    """Return the table row of a case."""
    name = result.case.name + " \\*" * result.case.simulated
    if result.skipped:
        return (name, result.skipped, "", "", "", "", "")
    run_again = sum(runs - 1 for number, runs in result.runs.items() if number and runs > 1)
    ends = ", ".join(f"{end} {count}" for end, count in sorted(result.ledger.end_counts().items()))
    in_flight = " / ".join(str(result.in_flight[method]) for method in RequestMethod)
    noticed, served = _seconds(result.noticed_s), _seconds(result.served_s)
    return (name, in_flight, noticed, served, ends, str(run_again), str(len(_finished_twice(result))))


def _seconds(value: float | None) -> str:
    """Return seconds as a table cell."""
    return "" if value is None else f"{value:.1f}"
