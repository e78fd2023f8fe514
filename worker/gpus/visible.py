"""Which GPUs an engine can use, by its CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.gpus.facts import Gpu


def visible_gpus(visible: str | None, gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Return the GPUs that a program with this CUDA_VISIBLE_DEVICES can use. None means that it is not set.

    The GPUs are those that the driver lists. In a container these can be fewer than the machine has, with other
    indices. As in CUDA, an entry that does not exist hides the entries behind it.
    """
    if visible is None:
        return tuple(gpus)
    found: list[Gpu] = []
    for entry in visible.split(","):
        gpu = _named(entry.strip(), gpus)
        if gpu is None:
            break
        if gpu not in found:  # two MIG instances can be on one GPU
            found.append(gpu)
    return tuple(found)


def engines_by_gpu(visible: Mapping[str, str | None], gpus: Sequence[Gpu]) -> dict[str, str]:
    """Return the engine that uses each GPU, by UUID of the GPU. `visible` is CUDA_VISIBLE_DEVICES of each engine.

    If engines share a GPU, it counts for the first of them.
    """
    engines: dict[str, str] = {}
    for engine, text in visible.items():
        for gpu in visible_gpus(text, gpus):
            engines.setdefault(gpu.uuid, engine)
    return engines


def _named(entry: str, gpus: Sequence[Gpu]) -> Gpu | None:
    """Return the GPU of an entry of CUDA_VISIBLE_DEVICES: an index, or a UUID or its beginning. None for any other."""
    if entry.isdecimal():
        return next((gpu for gpu in gpus if gpu.index == int(entry)), None)
    matching = [gpu for gpu in gpus if entry and any(_is_uuid(entry, uuid) for uuid in (gpu.uuid, *gpu.instances))]
    return matching[0] if len(matching) == 1 else None


def _is_uuid(entry: str, uuid: str) -> bool:
    """Return whether an entry stands for a UUID. Old drivers name a MIG instance `MIG-GPU-UUID/3/0`."""
    return uuid.startswith(entry) or (entry.startswith("MIG-GPU-") and entry[4:].partition("/")[0] == uuid)
