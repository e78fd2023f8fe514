"""Whether the GPU is there at all: asked of a fresh process and of the driver, never of what a job said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

PROBE = "import sys; sys.path[:] = filter(None, sys.path); import torch; torch.zeros(1).cuda()"
"""Without the current folder, which `python -c` searches first; ComfyUI's Python may be too old for -P."""
DRIVER = ("nvidia-smi", "-L")
PROBE_S = 60.0


def is_gone(probe: bool | None, driver: bool | None) -> bool:
    """Both have to say so: torch alone may be broken, and the driver lists a GPU that no program can use.

    None: it could not be asked, as on a machine without NVIDIA's tools.
    """
    return probe is False and driver is False


async def gpu_is_gone(probe: Sequence[str], driver: Sequence[str] = DRIVER) -> bool:
    """Run both commands. Without a probe (the engine uses no GPU) nothing can be gone."""
    if not probe:
        return False
    return is_gone(await passes(probe), await passes(driver))


async def passes(command: Sequence[str]) -> bool | None:
    """Whether a command ends with 0 in time; None where there is no such program."""
    nowhere = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    except OSError:
        return None
    try:
        async with asyncio.timeout(PROBE_S):
            return await process.wait() == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
