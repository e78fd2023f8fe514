"""One line per job's beginning and end."""

from __future__ import annotations

import logging

from worker.events import Event, JobAccepted, JobFinished

log = logging.getLogger("worker.jobs")


class JobLog:
    """An observer. Never logs a prompt, an input or a token: they are the client's."""

    def notify(self, event: Event) -> None:
        match event:
            case JobAccepted(job):
                log.info("job %s accepted, workload %.1f", job.id, job.workload)
            case JobFinished(job) if job.error is not None:
                log.info("job %s %s after %.2f s: %s", job.id, job.state, job.elapsed_s, job.error.code)
            case JobFinished(job):
                log.info("job %s %s after %.2f s, %d outputs", job.id, job.state, job.elapsed_s, len(job.outputs))
