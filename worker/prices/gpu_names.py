"""The names that platforms, drivers and people give to GPUs, and the one under which the price table has each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from worker.load.gpu_classes import CPU, UNKNOWN, gpu_class

A100_40, A100_80 = "A100 40GB", "A100 80GB"
LARGEST_40_GB = 60.0
"""Memory in GB below which an A100 is the one with 40 GB."""

SAME_PRICE = {"H100 PCIe": "H100", "A100": A100_80, "A100 PCIe 40GB": A100_40}
"""Classes of speed whose price is listed under another name."""

ALIASES: Mapping[str, str] = {
    **{"a4500": "RTX A4500", "rtxa4500": "RTX A4500", "rtx4000": "RTX 4000"},
    **{"rtx6000ada": "RTX 6000 Ada", "6000ada": "RTX 6000 Ada", "rtx5000ada": "RTX 5000 Ada"},
    **{"rtx4500ada": "RTX 4500 Ada", "rtx4000ada": "RTX 4000 Ada", "rtx4070sti": "RTX 4070 Ti SUPER"},
    **{"rtx3060ti": "RTX 3060 Ti", "rtx3070ti": "RTX 3070 Ti", "rtx5060": "RTX 5060"},
    **{"rtx4070s": "RTX 4070 SUPER", "rtx4070super": "RTX 4070 SUPER"},
    **{"rtx4080s": "RTX 4080 SUPER", "rtx4080super": "RTX 4080 SUPER"},
}
"""Names that `gpu_class` does not know, or that it counts to another GPU of about the same speed.

The names are in lower case, and have only letters and digits.
"""

PLATFORM_ALIASES: Mapping[str, Mapping[str, str]] = {
    "runpod": {
        # A pool has several GPUs with one price. The first one stands for the pool.
        **{"ampere16": "RTX A4000", "ampere24": "L4", "ada24": "RTX 4090", "ampere48": "RTX A6000"},
        **{"ada48pro": "L40", "ampere80": A100_80, "ada80pro": "H100", "hopper141": "H200"},
        **{"ada32pro": "RTX 5090", "blackwell96": "RTX PRO 6000", "blackwell180": "B200"},
    },
    "modal": {"a100": A100_40},  # Modal's `A100` is the one with 40 GB
}
"""Names that only one platform uses, or that have another meaning there."""

_NOISE = re.compile(r"nvidia|geforce|[^a-z0-9]")
_SEPARATORS = re.compile(r"[-_]+")


@lru_cache(maxsize=512)
def price_class(name: str, platform: str = "", memory_gb: float | None = None) -> str | None:
    """Return the name under which the price table has a GPU, such as `RTX 4090`, or None for an unknown name.

    Accepts names of NVML (`NVIDIA GeForce RTX 4090`), of Vast (`RTX 6000Ada`, `A100 SXM4`), of Modal (`A100-80GB`,
    `H100!`), of RunPod with its pools (`ADA_24`), and of people (`rtx-4090`). `memory_gb` tells the two A100 apart, if
    the name does not. An A100 of unknown memory has 80 GB, except on Modal.
    """
    key = _NOISE.sub("", name.casefold())
    alias = PLATFORM_ALIASES.get(platform, {}).get(key) or ALIASES.get(key)
    if alias is not None:
        return alias
    words = _SEPARATORS.sub(" ", name).strip()
    speed = gpu_class(f"RTX {words}" if words[:1].isdigit() else words).name  # it ignores digits at the start
    if speed in (UNKNOWN.name, CPU.name):
        return None
    if speed.startswith("A100") and "/" not in speed:
        return _a100(name, memory_gb)
    return SAME_PRICE.get(speed, speed)


def _a100(name: str, memory_gb: float | None) -> str:
    """Return the A100 that the memory says, or without it the name."""
    if memory_gb is not None:
        return A100_40 if memory_gb < LARGEST_40_GB else A100_80
    return A100_40 if re.search(r"40 ?g", name.casefold()) else A100_80
