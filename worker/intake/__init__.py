"""The way of a request from its body to a job, and of a job to its answer, without any HTTP server.

The pattern for a platform or a route:

    async with intake.body(chunks) as body:                        # long strings go to files as they arrive
        job = await intake.submit(body, Caller(principal, base_url))
    await manager.wait_for_end(job)
    status, answer = await intake.response(job)
    await send(answer.size, answer.pieces())                       # or `await answer.json()`, for a small one
"""

from worker.intake.body_forms import normalize_body
from worker.intake.intake import SPOOL, Caller, Intake, Submission
from worker.intake.job_responses import JobResponses, status_of
from worker.intake.response_body import ResponseBody

__all__ = ["SPOOL", "Caller", "Intake", "JobResponses", "ResponseBody", "Submission", "normalize_body", "status_of"]
