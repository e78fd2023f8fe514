"""The way of a request from its body to a job, and of a job to its answer, without any HTTP server.

The pattern for a platform or a route:

    async with intake.body(chunks) as body:                        # long strings go to files as they arrive
        job = await intake.submit(body, Caller(principal, base_url))
    await manager.wait_for_end(job)
    status, answer = await intake.answer(job)
    await send(answer.size, answer.pieces())                       # or `await answer.json()`, for a small one
"""

from worker.intake.answer_body import AnswerBody
from worker.intake.answers import Answers, status_of
from worker.intake.body_forms import canonical
from worker.intake.intake import SPOOL, Caller, Intake, Submission

__all__ = ["SPOOL", "AnswerBody", "Answers", "Caller", "Intake", "Submission", "canonical", "status_of"]
