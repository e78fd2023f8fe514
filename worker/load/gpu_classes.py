"""Classes of GPUs: how fast each of them runs diffusion models, before anything is measured on the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuClass:
    """A class of GPUs. `tflops` are the 10^12 floating-point operations a second that diffusion models reach on it."""

    name: str
    tflops: float


REFERENCE = GpuClass("RTX 4090", 109.0)
"""The GPU on which one unit of workload takes one second."""
UNKNOWN = GpuClass("unknown", 50.0)
CPU = GpuClass("cpu", 0.2)

_NAMED: tuple[tuple[str, GpuClass], ...] = (
    (r"b300", GpuClass("B300", 600.0)),
    (r"b200|gb200", GpuClass("B200", 543.0)),
    (r"h200|gh200", GpuClass("H200", 405.0)),
    (r"h20\b", GpuClass("H20", 103.0)),
    (r"h100|h800", GpuClass("H100", 354.0)),
    (r"a800|a100(?!.*pcie.*40)", GpuClass("A100", 157.0)),
    (r"a100", GpuClass("A100 PCIe 40GB", 117.0)),
    (r"l40s", GpuClass("L40S", 135.0)),
    (r"l40\b|l20\b", GpuClass("L20", 99.0)),
    (r"l4\b", GpuClass("L4", 45.0)),
    (r"a40\b|rtx a6000", GpuClass("A40", 60.0)),
    (r"a10g?\b", GpuClass("A10", 45.0)),
    (r"v100", GpuClass("V100", 50.0)),
    (r"\bt4\b", GpuClass("T4", 20.0)),
    (r"pro 6000", GpuClass("RTX PRO 6000", 210.0)),
    (r"6000 ada", GpuClass("RTX 6000 Ada", 134.0)),
    (r"4000 ada", GpuClass("RTX 4000 Ada", 50.0)),
    (r"5090 ?d\b|5090", GpuClass("RTX 5090", 165.0)),
    (r"5080", GpuClass("RTX 5080", 90.0)),
    (r"5070 ?ti", GpuClass("RTX 5070 Ti", 75.0)),
    (r"4090 ?d\b", GpuClass("RTX 4090 D", 88.0)),
    (r"4090", REFERENCE),
    (r"4080", GpuClass("RTX 4080", 64.0)),
    (r"4070 ?ti", GpuClass("RTX 4070 Ti", 52.0)),
    (r"4070", GpuClass("RTX 4070", 40.0)),
    (r"4060", GpuClass("RTX 4060", 24.0)),
    (r"3090 ?ti", GpuClass("RTX 3090 Ti", 60.0)),
    (r"3090", GpuClass("RTX 3090", 44.0)),
    (r"3080", GpuClass("RTX 3080", 38.0)),
    (r"3070", GpuClass("RTX 3070", 26.0)),
    (r"3060", GpuClass("RTX 3060", 17.0)),
    (r"a5000", GpuClass("RTX A5000", 40.0)),
    (r"a4000", GpuClass("RTX A4000", 28.0)),
    (r"\bcpu\b", CPU),
)
_PATTERNS = tuple((re.compile(pattern), gpu) for pattern, gpu in _NAMED)


def gpu_class(device_name: str) -> GpuClass:
    """Return the class of a GPU by its name, as NVML or ComfyUI reports it. An unknown name has the class `UNKNOWN`."""
    name = device_name.casefold()
    return next((gpu for pattern, gpu in _PATTERNS if pattern.search(name)), UNKNOWN)
