"""Logs one line for the acceptance and one for the end of each job."""

from __future__ import annotations

import logging

from worker.events import Handlers, JobAccepted, JobFinished

log = logging.getLogger("worker.jobs")


class JobLog:
    """An observer that logs jobs. It never logs prompts, inputs or tokens, which belong to the client."""

    @property
    def handlers(self) -> Handlers:
        """Handlers of the two events."""
        return {JobAccepted: _accepted, JobFinished: _finished}


def _accepted(event: JobAccepted) -> None:
    """Log an accepted job."""
    log.info("job %s accepted, workload %.1f", event.job.id, event.workload)


def _finished(event: JobFinished) -> None:
    """Log the end of a job, with the code of its error."""
    if event.code is None:
        log.info("job %s %s after %.2f s, %d outputs", event.job.id, event.state, event.elapsed_s, event.outputs)
    else:
        log.info("job %s %s after %.2f s: %s", event.job.id, event.state, event.elapsed_s, event.code)
