"""The fields of a price file: which tables a platform has, which figures a table has, and their units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from worker.prices.figure import Unit

GPU = "gpu"
"""Name of the table whose entries are GPUs."""
PER_GPU = (Unit.GPU_HOUR, Unit.GPU_SECOND)

RATES: Mapping[str, tuple[str, ...]] = {
    "vast": ("on_demand", "interruptible"),
    "runpod": ("flex", "active"),
    "modal": ("list",),
}
"""The rates of a GPU on each platform, with the usual one first. `RATE_low` and `RATE_high` are the ends of a range."""

FIELDS: Mapping[str, Mapping[str, Mapping[str, tuple[Unit, ...]]]] = {
    "vast": {
        "storage": {"running": (Unit.GB_MONTH,), "stopped": (Unit.GB_MONTH,)},
        "traffic": {"download": (Unit.GB_MOVED,), "upload": (Unit.GB_MOVED,)},
    },
    "runpod": {
        "disk": {"container": (Unit.GB_MONTH,)},
        "volume": {"first": (Unit.GB_MONTH,), "first_size": (Unit.GB,), "beyond": (Unit.GB_MONTH,)},
    },
    "modal": {
        "cpu": {"core": (Unit.CORE_SECOND,), "least": (Unit.CORES,)},
        "memory": {"gib": (Unit.GIB_SECOND,), "least": (Unit.GIB,)},
        "volume": {"gib": (Unit.GIB_MONTH,), "free": (Unit.GIB,)},
        "extras": {"region_low": (Unit.TIMES,), "region_high": (Unit.TIMES,), "nonpreemptible": (Unit.TIMES,)},
        "plan": {
            "starter": (Unit.MONTH,),
            "starter_credit": (Unit.MONTH,),
            "team": (Unit.MONTH,),
            "team_credit": (Unit.MONTH,),
        },
    },
}
"""The figures of each table, apart from those of GPUs, with the units that each of them can have."""


class FigureKey(NamedTuple):
    """The place of a figure: `[vast.gpu."RTX 4090"] on_demand`, or `[modal.cpu] core` with an empty `gpu`."""

    platform: str
    table: str
    name: str
    gpu: str = ""

    @property
    def header(self) -> str:
        """The table in the file, without quotes: `vast.gpu.RTX 4090`."""
        return ".".join(filter(None, (self.platform, self.table, self.gpu)))

    @property
    def label(self) -> str:
        """The figure in words, without the platform: `RTX 4090, on demand, low`, or `cpu, core`."""
        name = self.name
        for end in ("low", "high"):
            name = name.replace(f"_{end}", f", {end}")
        return f"{self.gpu or self.table}, {name.replace('_', ' ')}"


def gpu_fields(platform: str) -> Mapping[str, tuple[Unit, ...]]:
    """Return the figures that a GPU can have on a platform."""
    names = [f"{rate}{end}" for rate in RATES[platform] for end in ("", "_low", "_high")]
    return dict.fromkeys(names, PER_GPU)
