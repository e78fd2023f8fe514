"""GPUs: which ones the engines get, and whether one is there at all, by a fresh process and the driver."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

from worker.errors import StartupError
from worker.settings import environment

PROBE = "import sys; sys.path[:] = filter(None, sys.path); import torch; torch.zeros(1).cuda()"
"""Without the current folder, which `python -c` searches first; ComfyUI's Python may be too old for -P."""
DRIVER = ("nvidia-smi", "-L")
PROBE_S = 60.0
AUTO = "auto"
ONE_LINE = re.compile(r"^GPU \d+:", re.MULTILINE)
GPU = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")


def read_gpus(text: str, visible: str, listed: int) -> tuple[str, ...]:
    """Return WORKER_GPUS as values of CUDA_VISIBLE_DEVICES, one an engine; empty: one engine that sees all as before.

    `visible` is the value of CUDA_VISIBLE_DEVICES, `listed` the number of GPUs that the driver lists (for `auto`).
    Raises StartupError.
    """
    seen = _split(visible)
    if text == AUTO:
        found = seen or [str(number) for number in range(listed)]
        return tuple(found) if len(found) > 1 else ()
    if not text or text == "1":
        return ()
    if text.isdecimal():
        return _first(int(text), seen)
    found = _split(text)
    if not found or len(set(found)) < len(found) or not all(GPU.fullmatch(gpu) for gpu in found):
        raise StartupError(f"WORKER_GPUS={text!r} is not a number, a list of different GPUs like 0,2, or auto")
    return tuple(found)


async def listed_gpus(driver: Sequence[str] = DRIVER) -> int:
    """Return how many GPUs the driver lists; 0 on a machine without NVIDIA's tools."""
    devnull, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(*driver, stdin=devnull, stdout=pipe, stderr=devnull)
    except OSError:
        return 0
    output, _ = await process.communicate()
    return len(ONE_LINE.findall(output.decode(errors="replace")))


def gpu_environment(gpu: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that show one GPU only. With CUDA's own order an index would not be nvidia-smi's."""
    if gpu is None:
        return {}
    return {
        "CUDA_VISIBLE_DEVICES": gpu,
        "CUDA_DEVICE_ORDER": environ.get("CUDA_DEVICE_ORDER") or "PCI_BUS_ID",
    }


def driver_command(gpu: str | None) -> tuple[str, ...]:
    """Return the command that asks the driver for one GPU, or for any."""
    return DRIVER if gpu is None else ("nvidia-smi", "-i", gpu, "--query-gpu=uuid", "--format=csv,noheader")


def is_gone(probe: bool | None, driver: bool | None) -> bool:
    """Both have to say so: torch alone may be broken, and the driver lists a GPU that no program can use.

    None: it could not be asked, as on a machine without NVIDIA's tools.
    """
    return probe is False and driver is False


async def gpu_is_gone(
    probe: Sequence[str], driver: Sequence[str] = DRIVER, env: Mapping[str, str] | None = None
) -> bool:
    """Run both commands. Without a probe (the engine uses no GPU) nothing can be gone."""
    if not probe:
        return False
    return is_gone(await run_succeeds(probe, env), await run_succeeds(driver))


async def run_succeeds(command: Sequence[str], env: Mapping[str, str] | None = None) -> bool | None:
    """Whether a command ends with 0 in time; None where there is no such program."""
    nowhere = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=nowhere, stdout=nowhere, stderr=nowhere, env={**environment(), **(env or {})}
        )
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


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _first(count: int, seen: Sequence[str]) -> tuple[str, ...]:
    """The first GPUs of those that are visible; without CUDA_VISIBLE_DEVICES all are taken to be there."""
    if count == 0:
        raise StartupError("WORKER_GPUS=0 leaves no engine: use a number from 1 up, a list like 0,2, or auto")
    if seen and count > len(seen):
        raise StartupError(f"WORKER_GPUS={count}, but CUDA_VISIBLE_DEVICES shows {len(seen)}: {','.join(seen)}")
    return tuple(seen[:count]) or tuple(str(number) for number in range(count))
