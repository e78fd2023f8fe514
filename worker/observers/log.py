"""One line per job's beginning and end."""

from __future__ import annotations

import logging

from worker.events import Event, JobAccepted, JobFinished

log = logging.getLogger("worker.jobs")


class JobLog:
    """An observer. Never logs a prompt, an input or a token: they are the client's."""

    def notify(self, event: Event) -> None:
        match event:
            case JobAccepted(job=job, workload=workload):
                log.info("job %s accepted, workload %.1f", job.id, workload)
            case JobFinished(job=job, state=state, elapsed_s=elapsed_s, code=str(code)):
                log.info("job %s %s after %.2f s: %s", job.id, state, elapsed_s, code)
            case JobFinished(job=job, state=state, elapsed_s=elapsed_s, outputs=outputs):
                log.info("job %s %s after %.2f s, %d outputs", job.id, state, elapsed_s, outputs)
