"""Logs jobs: their acceptance, the prediction for their run, and their end. Logs engines that have become slower."""

from __future__ import annotations

import logging

from worker.events import Handlers, JobAccepted, JobFinished, JobPredicted, MachineSlowed

log = logging.getLogger("worker.jobs")


class JobLog:
    """An observer that logs jobs. It never logs prompts, inputs or tokens, which belong to the client."""

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events that are logged."""
        return {JobAccepted: _accepted, JobFinished: _finished, JobPredicted: _predicted, MachineSlowed: _slowed}


def _accepted(event: JobAccepted) -> None:
    """Log an accepted job."""
    log.info("job %s accepted, workload %.1f", event.job.id, event.workload)


def _predicted(event: JobPredicted) -> None:
    """Log what a run took, beside its prediction."""
    predicted = f"predicted {event.predicted_s:.3f} s, p90 {event.predicted_p90_s:.3f} s"
    log.debug("job %s ran %.3f s on %s, %s", event.job.id, event.seconds, event.engine, predicted)


def _slowed(event: MachineSlowed) -> None:
    """Log that an engine has become slower."""
    log.warning("%s has become slower: nodes take %.2f times as long as before", event.engine, event.factor)


def _finished(event: JobFinished) -> None:
    """Log the end of a job, with the code of its error."""
    if event.code is None:
        log.info("job %s %s after %.2f s, %d outputs", event.job.id, event.state, event.elapsed_s, event.outputs)
    else:
        log.info("job %s %s after %.2f s: %s", event.job.id, event.state, event.elapsed_s, event.code)
