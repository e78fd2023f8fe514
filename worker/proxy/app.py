"""The only place where the parts of the proxy meet."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from worker.backends.registry import open_backend
from worker.bodies import BodyLimits, remove_leftovers
from worker.jobs.state_lock import state_lock
from worker.proxy.callers import Callers, ProxyCaller
from worker.proxy.config.tables import BackendTable, ProxyConfig, Resubmit
from worker.proxy.dispatch.attempt_runner import AttemptRunner
from worker.proxy.dispatch.dispatcher import Dispatcher
from worker.proxy.dispatch.monitor import poll_loads
from worker.proxy.dispatch.routing import BackendState, RouteRequest, Routing, passed_over
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.events import BackendPassedOver, ProxyEvent
from worker.proxy.job import ProxyJob
from worker.proxy.jobs import ProxyJobs, ProxyLimits
from worker.proxy.journal import RESULTS, JobJournal
from worker.proxy.metrics.recorder import ProxyMetrics
from worker.proxy.results.outputs import JobOutputs
from worker.proxy.results.result_store import ResultStore
from worker.proxy.server import listen
from worker.proxy.services import ProxyServices
from worker.supervision import Tasks
from worker.workflow.templates.library import SHIPPED, read_library

log = logging.getLogger(__name__)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProxyApp:
    """A running proxy, at a URL, with its state folder."""

    url: str
    state: Path
    jobs: ProxyJobs
    slots: Mapping[str, BackendSlot]


@asynccontextmanager
async def build(config: ProxyConfig, environ: Mapping[str, str]) -> AsyncIterator[ProxyApp]:
    """Run a proxy until the context ends. Jobs that have not ended are followed again at the next start.

    `environ` has the keys of backends. Raises StartupError.
    """
    state = config.server.state.absolute()
    async with AsyncExitStack() as stack:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        stack.enter_context(state_lock(state))
        spool = await _spool_folder(state)
        slots = {table.name: await _open(stack, table, environ, state) for table in config.backends}
        journal = stack.enter_context(JobJournal(state / "journal.sqlite"))
        tasks = await stack.enter_async_context(Tasks())
        callers, routing = Callers.of(config), Routing.of(config)
        metrics = ProxyMetrics()
        notify = partial(_notify, [metrics.observe])
        results = ResultStore(state / RESULTS)
        outputs, order = JobOutputs(results), partial(_order, routing, callers, slots, notify)
        attempts = AttemptRunner(journal, results, outputs, notify)
        dispatcher = Dispatcher(slots, order, attempts, journal, results, notify)
        server = config.server
        limits_of_jobs = ProxyLimits(server.result_ttl_s, server.hangup_grace_s)
        jobs = ProxyJobs(slots, dispatcher, attempts, journal, results, tasks, limits=limits_of_jobs)
        tasks.start("backend-loads", partial(poll_loads, list(slots.values())))
        tasks.start("old-results", jobs.sweep)
        limits, library = BodyLimits(server.max_body_mib * MIB), read_library(SHIPPED)
        services = ProxyServices(
            server, jobs, slots, callers, routing, outputs, library, metrics, notify, spool, limits
        )
        restored = await jobs.restore()
        url = await stack.enter_async_context(listen(services, tasks))
        log.info("proxy at %s in front of %s, with %d jobs of an earlier process", url, ", ".join(slots), restored)
        yield ProxyApp(url, state, jobs, slots)


async def _spool_folder(state: Path) -> Path:
    """Return the empty folder for large bodies while they arrive."""
    spool = state / "bodies"
    spool.mkdir(exist_ok=True)
    await remove_leftovers(spool)
    return spool


async def _open(stack: AsyncExitStack, table: BackendTable, environ: Mapping[str, str], state: Path) -> BackendSlot:
    """Open a backend until the stack is closed. Raises StartupError."""
    backend = await stack.enter_async_context(open_backend(table.settings(environ, state)))
    return BackendSlot(backend, table.lost_after_s, table.resubmit is Resubmit.WHEN_LOST, table.max_queue)


def _order(
    routing: Routing,
    callers: Callers,
    slots: Mapping[str, BackendSlot],
    notify: Callable[[ProxyEvent], None],
    job: ProxyJob,
) -> Sequence[str]:
    """Return the names of the backends for a job, the preferred one first. Raises Forbidden."""
    caller = callers.by_name.get(job.caller) or ProxyCaller(job.caller)
    key = job.key if job.id == job.key else job.id
    request = RouteRequest(caller, key, job.facts.template, job.facts.handler, job.facts.sticky)
    states = {name: BackendState(not slot.problem, slot.queued, slot.max_queue) for name, slot in slots.items()}
    choices = routing.order(request, states)
    if not job.attempts:  # otherwise they were reported before
        for choice in passed_over(choices):
            if choice.demotion is not None:
                notify(BackendPassedOver(job, choice.backend, choice.demotion))
    return [choice.backend for choice in choices]


def _notify(observers: Sequence[Callable[[ProxyEvent], None]], event: ProxyEvent) -> None:
    """Pass an event to all observers. A failing observer fails no job."""
    for observer in observers:
        try:
            observer(event)
        except Exception:
            log.exception("an observer failed")
