"""GPUs: the ones that the engines use, and a check whether a GPU has failed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

from worker.errors import StartupError
from worker.settings import environment

PROBE = "import sys; sys.path[:] = filter(None, sys.path); import torch; torch.zeros(1).cuda()"
"""Program that uses the GPU.

It removes the current folder from the path, which `python -c` searches first. ComfyUI's Python may be too old for
-P."""
DRIVER = ("nvidia-smi", "-L")
"""Command that lists the GPUs."""
PROBE_S = 60.0
"""Timeout of a probe in seconds."""
AUTO = "auto"
GPU_LINE = re.compile(r"^GPU \d+:", re.MULTILINE)
"""Matches a GPU in the driver's list."""
GPU = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")
"""Matches a GPU's index or UUID."""


def read_gpus(text: str, visible: str, listed: int) -> tuple[str, ...]:
    """Return the value of CUDA_VISIBLE_DEVICES for each engine, from the text of WORKER_GPUS.

    An empty result means one engine that sees all GPUs.

    `visible` is the worker's CUDA_VISIBLE_DEVICES. `listed` is the number of GPUs that the driver lists, for `auto`.
    Raises StartupError for an invalid WORKER_GPUS.
    """
    visible_gpus = _split(visible)
    if text == AUTO:
        gpus = visible_gpus or [str(number) for number in range(listed)]
        return tuple(gpus) if len(gpus) > 1 else ()
    if not text or text == "1":
        return ()
    if text.isdecimal():
        return _first_gpus(int(text), visible_gpus)
    gpus = _split(text)
    if not gpus or len(set(gpus)) < len(gpus) or not all(GPU.fullmatch(gpu) for gpu in gpus):
        raise StartupError(
            f"WORKER_GPUS={text!r}: use a number of GPUs, a list of GPUs without repeats ('0,2'), or 'auto'"
        )
    return tuple(gpus)


async def listed_gpus(driver: Sequence[str] = DRIVER) -> int:
    """Return the number of GPUs that the driver lists, 0 on a machine without NVIDIA's tools."""
    devnull, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(*driver, stdin=devnull, stdout=pipe, stderr=devnull)
    except OSError:
        return 0
    output, _ = await process.communicate()
    return len(GPU_LINE.findall(output.decode(errors="replace")))


def gpu_environment(gpu: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that make only one GPU visible, with indices in the order of nvidia-smi. None means all GPUs."""
    if gpu is None:
        return {}
    return {
        "CUDA_VISIBLE_DEVICES": gpu,
        "CUDA_DEVICE_ORDER": environ.get("CUDA_DEVICE_ORDER") or "PCI_BUS_ID",
    }


def driver_command(gpu: str | None) -> tuple[str, ...]:
    """Return a command that succeeds if the driver finds this GPU, or any GPU for None."""
    return DRIVER if gpu is None else ("nvidia-smi", "-i", gpu, "--query-gpu=uuid", "--format=csv,noheader")


def is_gone(probe: bool | None, driver: bool | None) -> bool:
    """Return whether a GPU is gone: both the probe and the check of the driver have failed.

    None means that a check could not run. One failed check is not enough, because torch may be broken.
    """
    return probe is False and driver is False


async def gpu_is_gone(
    probe: Sequence[str], driver: Sequence[str] = DRIVER, env: Mapping[str, str] | None = None
) -> bool:
    """Run the probe and ask the driver, and return whether the GPU is gone. An engine without a probe uses no GPU."""
    if not probe:
        return False
    return is_gone(await run_succeeds(probe, env), await run_succeeds(driver))


async def run_succeeds(command: Sequence[str], env: Mapping[str, str] | None = None) -> bool | None:
    """Return whether a command exits with 0 within PROBE_S seconds, or None if the program does not exist."""
    devnull = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=devnull, stdout=devnull, stderr=devnull, env={**environment(), **(env or {})}
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
    """Return the parts of a comma-separated list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _first_gpus(count: int, visible_gpus: Sequence[str]) -> tuple[str, ...]:
    """Return the first visible GPUs.

    Without CUDA_VISIBLE_DEVICES, that many GPUs are assumed to exist. Raises StartupError for 0, or for more than are
    visible.
    """
    if count == 0:
        raise StartupError("WORKER_GPUS=0 means no engine: use a number from 1 up, a list like 0,2, or auto")
    if visible_gpus and count > len(visible_gpus):
        raise StartupError(
            f"WORKER_GPUS={count}, but CUDA_VISIBLE_DEVICES shows {len(visible_gpus)}: {','.join(visible_gpus)}"
        )
    return tuple(visible_gpus[:count]) or tuple(str(number) for number in range(count))
