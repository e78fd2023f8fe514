"""Converts a request body to a job, and a job to a response body. Independent of the HTTP server.

How a platform or a route uses it:

    async with intake.body(chunks) as body:                        # writes long strings to files
        job = await intake.submit(body, Caller(principal, base_url))
    await manager.wait_for_end(job)
    status, response = await intake.response(job)
    await send(response.size, response.pieces())                   # or `await response.json()` for a small one
"""

from worker.intake.body_forms import normalize_body
from worker.intake.intake import SPOOL, Intake
from worker.intake.job_responses import JobResponses, status_of
from worker.intake.response_body import ResponseBody
from worker.intake.submission import Caller, Submission

__all__ = ["SPOOL", "Caller", "Intake", "JobResponses", "ResponseBody", "Submission", "normalize_body", "status_of"]
