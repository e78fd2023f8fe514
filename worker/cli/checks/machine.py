"""Checks of Python, the packages, the platforms' SDKs and the GPUs."""

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
REQUIRED = ("aiohttp", "orjson", "pillow", "pydantic", "rich", "typer", "uvloop")
COMMAND_TIMEOUT_S = 20.0
CPU = "--cpu"
"""ComfyUI's option to run without a GPU."""


def python() -> CheckFinding:
    """Check the version of Python."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST:
        return fail("python", f"{version} is too old", "use Python 3.11 or newer")
    return ok("python", f"{version}  {sys.executable}")


def packages() -> CheckFinding:
    """Check that the required packages are installed."""
    installed, missing = [], []
    for name in REQUIRED:
        try:
            installed.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return fail("packages", f"not installed: {', '.join(missing)}", "pip install comfy-worker")
    return ok("packages", ", ".join(installed))


async def sdks(platform: Platform) -> list[CheckFinding]:
    """Return a finding for each platform's SDK. Only the one of this worker's platform is required."""
    all_sdks = list(dict.fromkeys(other.sdk for other in PLATFORMS if other.sdk is not None))
    return await asyncio.gather(*(_check_sdk(sdk, required=sdk == platform.sdk) for sdk in all_sdks))


async def _check_sdk(sdk: Sdk, *, required: bool) -> CheckFinding:
    """Check that an SDK can be imported.

    It is imported in another process, as some packages hide a failed import, and others change the logging.
    """
    name, advice = f"{sdk.extra} sdk", f"install the extra: pip install 'comfy-worker[{sdk.extra}]'"
    try:
        version = metadata.version(sdk.distribution)
    except metadata.PackageNotFoundError:
        if required:
            return fail(name, "not installed", advice)
        return ok(name, f"not installed; only workers on {sdk.extra} need it")
    code, output = await _run(sys.executable, "-P", "-W", "ignore", "-c", f"import {sdk.module}")
    if code == 0:
        return ok(name, f"{sdk.distribution} {version}")
    reason = output.strip().splitlines()[-1] if output.strip() else f"no result after {COMMAND_TIMEOUT_S:g} s"
    make_finding = fail if required else warn
    return make_finding(name, f"{sdk.distribution} {version}, but {sdk.module} cannot be imported: {reason}", advice)


async def gpus(settings: Settings) -> list[CheckFinding]:
    """Return a finding for each GPU that nvidia-smi lists. A ComfyUI with --cpu needs none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return [_no_gpu(settings, "no GPU: nvidia-smi is not installed")]
    query = "--query-gpu=name,memory.total,driver_version"
    code, output = await _run(program, query, "--format=csv,noheader")
    rows = [row.strip() for row in output.splitlines() if row.strip()]
    if code or not rows:
        return [_no_gpu(settings, f"nvidia-smi fails: {rows[0] if rows else 'it prints nothing'}")]
    return list(_gpu_findings(rows))


def _gpu_findings(rows: list[str]) -> Iterator[CheckFinding]:
    """Yield a finding for each row of nvidia-smi. The GPUs have numbers if there are several."""
    for number, row in enumerate(rows):
        yield ok("gpu" if len(rows) == 1 else f"gpu {number}", row)


def _no_gpu(settings: Settings, problem: str) -> CheckFinding:
    """Return the finding about a missing GPU: a warning if the configured ComfyUI needs one."""
    if settings.engine.comfyui == EMBEDDED or settings.engine.comfyui.startswith("http"):
        return ok("gpu", f"{problem}; none is needed here")
    if CPU in settings.engine.args.split():
        return ok("gpu", f"{problem}; none is needed with {CPU} in WORKER_COMFYUI_ARGS")
    return warn("gpu", problem, "start the container with a GPU, or set WORKER_COMFYUI_ARGS=--cpu")


async def _run(*command: str) -> tuple[int, str]:
    """Run a program and return its exit code and output. After COMMAND_TIMEOUT_S it is killed, and the code is -1."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, ""
    return process.returncode or 0, output.decode(errors="replace")
