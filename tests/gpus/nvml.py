"""A stand-in for NVIDIA's library, compiled for these tests. Its values are in a file that a test can change."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml.c")
GPU = {
    "uuid": "GPU-11111111-aaaa",
    "name": "NVIDIA GeForce RTX 4090",
    "memory_total": 25_757_220_864,
    "memory_used": 8_000_000_000,
    "utilization": 87,
    "power": 215_500,
    "energy": 3_600_000,
    "temperature": 61,
    "clock": 2520,
    "reasons": 0x04,
}


@dataclass(frozen=True)
class FakeNvml:
    """The library's folder, and the file with its values."""

    folder: Path
    values: Path

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables for a process that shall find this library."""
        return {"LD_LIBRARY_PATH": str(self.folder), "FAKE_NVML": str(self.values)}

    def set(self, *gpus: dict[str, object], **values: object) -> None:
        """Write the values of the machine and of each GPU. Readers see either the old file or the new one."""
        lines = {"driver": "550.54.15", "count": len(gpus), **values}
        lines |= {f"{index}.{name}": value for index, gpu in enumerate(gpus) for name, value in gpu.items()}
        new = self.values.with_suffix(".new")
        new.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        new.replace(self.values)


def compile_fake(folder: Path) -> FakeNvml:
    """Compile the stand-in, with the name of NVIDIA's library."""
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    return FakeNvml(folder, folder / "values")
