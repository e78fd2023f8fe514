"""`python -m real FOLDER`: run the suite, write docs/compatibility.md, and fail when something differs."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import uvloop

from real import recordings
from real.compatibility_page import compatibility_page, failures
from real.jobs import PackJobs, read_packs
from real.passes import JobResult
from real.run import CATALOG, Suite
from real.workers import NotStarted, RealComfyUI
from worker.errors import StartupError

STATE = Path(".state")
NO_FOLDER = """\
`make real` needs a real ComfyUI: `make real COMFYUI=FOLDER`. FOLDER must contain main.py, custom_nodes/ and .venv/.
Install ComfyUI as its documentation describes, with the node packs to test. On a machine without a GPU, ARGS must
contain --cpu."""


def main() -> None:
    """Run the suite with the options of the command line."""
    options = _options().parse_args()
    if options.comfyui is None or not (options.comfyui / "main.py").is_file():
        sys.exit(NO_FOLDER if options.comfyui is None else f"{options.comfyui} has no main.py.\n{NO_FOLDER}")
    STATE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="real-", dir=STATE)).resolve()
    packs = _filtered(read_packs(), options.only)
    models = options.models.resolve() if options.models else None
    comfyui = RealComfyUI(options.comfyui.resolve(), options.arguments, models)
    suite = Suite(packs, comfyui, folder, _print_result, options.prompts)
    try:
        result = uvloop.run(suite.run(vast=not options.no_vast, embedded=not options.no_embedded))
    except (NotStarted, StartupError) as error:
        sys.exit(f"A process of the suite did not start: {error}")
    version = f"{result.version}, started with `{options.arguments}`"
    page = compatibility_page(packs, result, [("ComfyUI", version), ("classes", str(len(result.classes)))])
    if not options.only:
        options.out.write_text(page, "utf-8")
    if options.record:
        recordings.save(result.results, (folder / CATALOG).read_bytes(), comfyui.folder, options.record)
    lines = failures(result)
    if lines:
        sys.exit(f"{len(lines)} differences (logs in {folder}):\n" + "\n".join(lines))
    sent = sum(1 for job_result in result.results if not job_result.skipped)
    print(f"No differences in {sent} requests. {len(result.results) - sent} requests were skipped.")
    if not options.keep:
        shutil.rmtree(folder)


def _filtered(packs: list[PackJobs], only: str) -> list[PackJobs]:
    """Return the packs with only the jobs whose title contains `only`, ignoring case."""
    return [replace(pack, jobs=[job for job in pack.jobs if only.lower() in job.title.lower()]) for pack in packs]


def _print_result(result: JobResult) -> None:
    """Print a result as one line."""
    status = "FAIL" if result.differences else "ok  "
    if result.skipped:
        status = "skip"
    details = result.skipped or "; ".join(result.differences)
    print(f"{status} {result.seconds:6.2f} s  {result.mode:32} {result.job.title}  {details}", flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m real", description=__doc__)
    parser.add_argument("comfyui", type=Path, nargs="?", help="ComfyUI's folder (main.py, custom_nodes/, .venv/)")
    parser.add_argument("--arguments", default="--cpu", help="command-line arguments for ComfyUI (default: --cpu)")
    parser.add_argument("--models", type=Path, help="folder with more models, laid out as ComfyUI's models/")
    parser.add_argument("--only", default="", help="run only jobs whose title contains this text; writes no page")
    parser.add_argument("--prompts", type=Path, help="folder of prompts whose verdicts are compared as well")
    parser.add_argument("--no-vast", action="store_true", help="skip the requests through Vast's client")
    parser.add_argument("--no-embedded", action="store_true", help="skip the embedded engine")
    parser.add_argument("--record", type=Path, help="folder to write recordings to, such as tests/data")
    parser.add_argument("--keep", action="store_true", help="do not delete logs and folders after a successful run")
    parser.add_argument("--out", type=Path, default=Path("docs/compatibility.md"), help="page that a full run writes")
    return parser


if __name__ == "__main__":
    main()
