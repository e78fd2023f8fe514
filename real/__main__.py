"""`python -m real FOLDER`: run the suite, write docs/compatibility.md, fail where something differs."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import uvloop

from real import recordings
from real.compatibility_page import document, failures
from real.jobs import PackJobs, read_packs
from real.passes import JobResult
from real.run import CATALOG, Suite
from real.workers import NotStarted, RealComfyUI
from worker.errors import StartupError

STATE = Path(".state")
NO_FOLDER = """\
make real needs a real ComfyUI: `make real COMFYUI=FOLDER`, where FOLDER has main.py, custom_nodes/ and .venv/ (ComfyUI
installed as its own documentation says, with the packs to be tried and --cpu in ARGS for a machine without a GPU)."""


def main() -> None:
    options = _options().parse_args()
    if options.comfyui is None or not (options.comfyui / "main.py").is_file():
        sys.exit(NO_FOLDER if options.comfyui is None else f"{options.comfyui} has no main.py.\n{NO_FOLDER}")
    STATE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="real-", dir=STATE)).resolve()
    packs = _chosen(read_packs(), options.only)
    models = options.models.resolve() if options.models else None
    comfyui = RealComfyUI(options.comfyui.resolve(), options.arguments, models)
    suite = Suite(packs, comfyui, folder, _tell, options.prompts)
    try:
        found = uvloop.run(suite.run(vast=not options.no_vast, twin=not options.no_embedded))
    except (NotStarted, StartupError) as error:
        sys.exit(f"not started: {error}")
    facts = [("ComfyUI", f"{found.version}, started with `{options.arguments}`"), ("classes", str(len(found.classes)))]
    page = document(packs, found, facts)
    if not options.only:
        options.out.write_text(page, "utf-8")
    if options.record:
        recordings.keep(found.results, (folder / CATALOG).read_bytes(), comfyui.folder, options.record)
    missed = failures(found)
    if missed:
        sys.exit(f"{len(missed)} differences (logs in {folder}):\n" + "\n".join(missed))
    sent = sum(1 for result in found.results if not result.skipped)
    print(f"no differences in {sent} requests, {len(found.results) - sent} skipped")
    if not options.keep:
        shutil.rmtree(folder)


def _chosen(packs: list[PackJobs], only: str) -> list[PackJobs]:
    wanted = only.lower()
    return [replace(pack, jobs=[job for job in pack.jobs if wanted in job.title.lower()]) for pack in packs]


def _tell(result: JobResult) -> None:
    verdict = "skip" if result.skipped else "NOT " if result.differences else "ok  "
    words = result.skipped or "; ".join(result.differences)
    print(f"{verdict} {result.seconds:6.2f} s  {result.mode:32} {result.job.title}  {words}", flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m real", description=__doc__)
    parser.add_argument("comfyui", type=Path, nargs="?", help="a ComfyUI folder: main.py, custom_nodes/, .venv/")
    parser.add_argument("--arguments", default="--cpu", help="ComfyUI's own, --cpu by default")
    parser.add_argument("--models", type=Path, help="a folder with more models, as ComfyUI's models/")
    parser.add_argument("--only", default="", help="jobs whose pack or name has this in it; writes no page")
    parser.add_argument("--prompts", type=Path, help="a folder of prompts whose verdicts are compared too")
    parser.add_argument("--no-vast", action="store_true", help="leave Vast's client out")
    parser.add_argument("--no-embedded", action="store_true", help="leave the embedded engine out")
    parser.add_argument("--record", type=Path, help="a folder for what ComfyUI did, as tests/data has it")
    parser.add_argument("--keep", action="store_true", help="leave logs and folders where they are")
    parser.add_argument("--out", type=Path, default=Path("docs/compatibility.md"), help="what a full run writes")
    return parser


if __name__ == "__main__":
    main()
