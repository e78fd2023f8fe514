"""Python, the packages and the GPU."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata

from worker.check_finding import CheckFinding, fail, ok, warn
from worker.engine.process.folders import EMBEDDED
from worker.platforms.base import Platform, Sdk
from worker.platforms.registry import PLATFORMS
from worker.settings import Settings

OLDEST = (3, 11)
NEEDED = ("aiohttp", "orjson", "pillow", "pydantic", "rich", "typer", "uvloop")
LOOK_S = 20.0
CPU = "--cpu"
"""ComfyUI's option to run without a GPU."""


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


async def sdks(platform: Platform) -> list[CheckFinding]:
    """One row for each platform's SDK; it has to be there for the platform that this worker runs on."""
    known = list(dict.fromkeys(found.sdk for found in PLATFORMS if found.sdk is not None))
    return await asyncio.gather(*(_sdk(sdk, needed=sdk == platform.sdk) for sdk in known))


async def _sdk(sdk: Sdk, *, needed: bool) -> CheckFinding:
    """Imported in a process of its own: a package may hide a failed import, and a good one change the logging."""
    name, cure = f"{sdk.extra} sdk", f"install the extra: pip install 'comfy-worker[{sdk.extra}]'"
    try:
        version = metadata.version(sdk.distribution)
    except metadata.PackageNotFoundError:
        if needed:
            return fail(name, "not installed", cure)
        return ok(name, f"not installed; only a worker on {sdk.extra} needs it")
    code, output = await _run(sys.executable, "-P", "-W", "ignore", "-c", f"import {sdk.module}")
    if code == 0:
        return ok(name, f"{sdk.distribution} {version}")
    last = output.strip().splitlines()[-1] if output.strip() else "no answer"
    bad = fail if needed else warn
    return bad(name, f"{sdk.distribution} {version}, but {sdk.module} can't be imported: {last}", cure)


async def gpus(settings: Settings) -> list[CheckFinding]:
    """One row a GPU, as nvidia-smi sees them; a ComfyUI with --cpu needs none."""
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
    if settings.engine.comfyui == EMBEDDED or settings.engine.comfyui.startswith("http"):
        return ok("gpu", f"{says}; none is needed here")
    if CPU in settings.engine.args.split():
        return ok("gpu", f"{says}; none is needed with {CPU} in WORKER_COMFYUI_ARGS")
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
