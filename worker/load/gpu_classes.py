"""Classes of GPUs: how fast each of them runs diffusion models, before anything is measured on the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class GpuClass:
    """A class of GPUs. `tflops` are the 10^12 operations a second that it reaches with diffusion models."""

    name: str
    tflops: float


REFERENCE = GpuClass("RTX 4090", 129.0)
"""The GPU on which one unit of workload takes one second."""
UNKNOWN = GpuClass("unknown", 50.0)
CPU = GpuClass("cpu", 0.2)
LAPTOP = 0.6
"""Speed of a GPU in a laptop, relative to the one of the same name in a desktop computer."""
MIG_SLICES = 7.0
"""Number of parts into which NVIDIA's MIG divides a GPU."""

# Medians of public measurements where there are some: RTX 3090, 3090 Ti, 4070 Ti, 4080, 4090, 6000 Ada and 4000 Ada,
# A100, H100, H200, H20, L20, L40S and B200. Others follow from the data sheet, by a rule that holds for these:
# 1 / (1 / (1.1 x dense TFLOPS in half precision) + 4.5 GB / (GB/s of the memory)).
_NAMED: tuple[tuple[str, str, float], ...] = (
    (r"b300", "B300", 800.0),
    (r"b200", "B200", 755.0),
    (r"h200|gh200", "H200", 510.0),
    (r"h20\b", "H20", 110.0),
    (r"h100.*pcie", "H100 PCIe", 290.0),
    (r"h100|h800", "H100", 412.0),
    (r"a100.*(pcie.*40|40.*pcie)", "A100 PCIe 40GB", 145.0),
    (r"a100|a800", "A100", 176.0),
    (r"l40s", "L40S", 146.0),
    (r"l40\b", "L40", 98.0),
    (r"l20\b", "L20", 100.0),
    (r"\bl4\b", "L4", 44.0),
    (r"a40\b", "A40", 80.0),
    (r"a6000\b", "RTX A6000", 85.0),
    (r"a5000\b", "RTX A5000", 71.0),
    (r"a4000\b", "RTX A4000", 46.0),
    (r"a10g", "A10G", 49.0),
    (r"a10\b", "A10", 60.0),
    (r"v100", "V100", 55.0),
    (r"\bt4\b", "T4", 25.0),
    (r"pro 6000", "RTX PRO 6000", 231.0),
    (r"6000 ada", "RTX 6000 Ada", 142.0),
    (r"5000 ada", "RTX 5000 Ada", 89.0),
    (r"4500 ada", "RTX 4500 Ada", 62.0),
    (r"4000.*ada", "RTX 4000 Ada", 44.0),
    (r"5090", "RTX 5090", 146.0),
    (r"5080", "RTX 5080", 78.0),
    (r"5070 ?ti", "RTX 5070 Ti", 65.0),
    (r"5070", "RTX 5070", 47.0),
    (r"5060", "RTX 5060 Ti", 34.0),
    (r"4090 ?d\b", "RTX 4090 D", 105.0),
    (r"4090", REFERENCE.name, REFERENCE.tflops),
    (r"4080", "RTX 4080", 73.0),
    (r"4070 ?ti super", "RTX 4070 Ti SUPER", 59.0),
    (r"4070 ?ti", "RTX 4070 Ti", 54.0),
    (r"4070", "RTX 4070", 43.0),
    (r"4060 ?ti", "RTX 4060 Ti", 28.0),
    (r"4060", "RTX 4060", 21.0),
    (r"3090 ?ti", "RTX 3090 Ti", 63.0),
    (r"3090", "RTX 3090", 56.0),
    (r"3080 ?ti", "RTX 3080 Ti", 54.0),
    (r"3080", "RTX 3080", 47.0),
    (r"3070", "RTX 3070", 31.0),
    (r"3060", "RTX 3060", 20.0),
    (r"2080 ?ti", "RTX 2080 Ti", 40.0),
    (r"^cpu\b", CPU.name, CPU.tflops),
)
_PATTERNS = tuple((re.compile(pattern), GpuClass(name, tflops)) for pattern, name, tflops in _NAMED)
_MIG = re.compile(r"\bmig (\d)g")


@lru_cache(maxsize=64)
def gpu_class(device_name: str) -> GpuClass:
    """Return the class of a GPU by its name, as NVML or ComfyUI reports it. An unknown name has the class `UNKNOWN`.

    A part of a divided GPU (MIG), and a GPU of a laptop, are classes of their own.
    """
    name = device_name.casefold().removeprefix("cuda:").lstrip("0123456789 ")
    gpu = next((gpu for pattern, gpu in _PATTERNS if pattern.search(name)), UNKNOWN)
    part = _MIG.search(name)
    if part:
        slices = max(float(part[1]), 1.0)
        return GpuClass(f"{gpu.name} {slices:g}/{MIG_SLICES:g}", gpu.tflops * slices / MIG_SLICES)
    if "laptop" in name or "mobile" in name:
        return replace(gpu, name=f"{gpu.name} Laptop", tflops=gpu.tflops * LAPTOP)
    return gpu
