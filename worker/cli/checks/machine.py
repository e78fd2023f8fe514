"""Python, the packages and the GPU."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata

from worker.cli.checks.finding import CheckFinding, fail, ok, warn
from worker.engine.process.folders import EMBEDDED
from worker.settings import Settings

OLDEST = (3, 11)
NEEDED = ("aiohttp", "orjson", "pillow", "pydantic", "rich", "typer", "uvloop")
SDK = "vastai.serverless.server.worker"
SDK_INSTALL = "install the extra: pip install 'comfy-worker[vast]'"
LOOK_S = 20.0


def python() -> CheckFinding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST:
        return fail("python", f"{version} is too old", "use Python 3.11 or newer")
    return ok("python", f"{version}  {sys.executable}")


def packages() -> CheckFinding:
    found, missing = [], []
    for name in NEEDED:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return fail("packages", f"not installed: {', '.join(missing)}", "pip install comfy-worker")
    return ok("packages", ", ".join(found))


async def vast_sdk(settings: Settings) -> CheckFinding:
    """Imported in a process of its own: the package hides a failed import, and a good one changes the logging."""
    try:
        version = metadata.version("vastai")
    except metadata.PackageNotFoundError:
        if settings.behind_vast:
            return fail("vast sdk", "not installed", SDK_INSTALL)
        return ok("vast sdk", "not installed; only a worker behind Vast needs it")
    code, output = await _run(sys.executable, "-P", "-W", "ignore", "-c", f"import {SDK}")
    if code == 0:
        return ok("vast sdk", f"vastai {version}")
    last = output.strip().splitlines()[-1] if output.strip() else "no answer"
    bad = fail if settings.behind_vast else warn
    return bad("vast sdk", f"vastai {version}, but {SDK} can't be imported: {last}", SDK_INSTALL)


async def gpus(settings: Settings) -> list[CheckFinding]:
    """One row a GPU, as nvidia-smi sees them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return [_no_gpu(settings, "no GPU: there is no nvidia-smi")]
    query = "--query-gpu=name,memory.total,driver_version"
    code, output = await _run(program, query, "--format=csv,noheader")
    rows = [row.strip() for row in output.splitlines() if row.strip()]
    if code or not rows:
        return [_no_gpu(settings, f"nvidia-smi fails: {rows[0] if rows else 'it says nothing'}")]
    return list(_cards(rows))


def _cards(rows: list[str]) -> Iterator[CheckFinding]:
    for number, row in enumerate(rows):
        yield ok("gpu" if len(rows) == 1 else f"gpu {number}", row)


def _no_gpu(settings: Settings, says: str) -> CheckFinding:
    if settings.comfyui == EMBEDDED or settings.comfyui.startswith("http"):
        return ok("gpu", f"{says}; none is needed here")
    return warn("gpu", says, "start the container with its GPU, or give ComfyUI --cpu in WORKER_COMFYUI_ARGS")


async def _run(*command: str) -> tuple[int, str]:
    """Exit code and all that was written; -1 when it took too long."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(LOOK_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, ""
    return process.returncode or 0, output.decode(errors="replace")
