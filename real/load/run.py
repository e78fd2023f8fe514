"""The comparison of predicted work with all runs of the direct pass, and with the prompts of `sampling_prompts`."""

from __future__ import annotations

from collections.abc import Iterable

from real.load.comparison import ComparedRun, LoadComparison
from real.load.sampling_prompts import MODEL, LoadCase, load_cases
from real.passes import JobResult, PassContext
from worker.workflow.catalog.catalog import Catalog


async def compare_load(results: Iterable[JobResult], context: PassContext, catalog: Catalog) -> LoadComparison:
    """Compare the runs of these results, send the prompts of `sampling_prompts`, and compare their runs.

    `results` are those of the engine of `context`, in the order of the requests.
    """
    load = LoadComparison()
    for result in results:
        for run in result.log.runs:
            name = f"{result.job.name}, {result.mode}"
            load.add(ComparedRun(result.job.pack, name, run, result.job.load, result.job.uncached), catalog)
    checkpoints = catalog["CheckpointLoaderSimple"].by_name["ckpt_name"].options or ()
    if MODEL not in checkpoints:
        load.skipped = f"ComfyUI has no checkpoint {MODEL}"
        return load
    for case in load_cases(catalog):
        await _send(case, context, catalog, load)
    return load


async def _send(case: LoadCase, context: PassContext, catalog: Catalog, load: LoadComparison) -> None:
    """Send one prompt, and compare its run."""
    context.worker.log.take()  # what was recorded before this request is not part of it
    answer = await context.sender({"workflow": case.prompt, "output_format": "base64"})
    runs = context.worker.log.take().runs
    for run in runs:
        load.add(ComparedRun(case.group, case.name, run, case.reason), catalog)
    if answer.status != 200 and not case.reason:
        load.differing.append(f"{case.name} ({case.group}): response {answer.status} {answer.error}")
