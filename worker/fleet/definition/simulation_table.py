"""The table `[simulation]` of the fleet file: what a simulation assumes and an apply ignores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from worker.fleet.definition.table import Amount, Dollars, Seconds, Table, key

Share = Annotated[float, Field(ge=0, lt=1)]
Reading = Literal["A", "B", "B'", "C"]


class SimulationTable(Table):
    """What `comfy-worker fleet simulate` assumes. A key that is not set has the platform's default."""

    readings: Annotated[list[Reading], Field(min_length=1)] = key(
        "readings of Vast's autoscaler to simulate: `A`, `B`, `B'` and `C` of docs/fleet.md", ["A", "B", "C"]
    )
    gpu: str = key("GPU of every worker; empty means the first GPU of the first group, or else an RTX 4090", "")
    usd_hour: Dollars | None = key(
        "price of a worker in dollars an hour; without it, the price table's, docs/prices.md", None
    )
    speed: Annotated[float, Field(gt=0)] | None = key(
        "speed of a worker relative to an RTX 4090; without it, that of the GPU's class", None
    )
    speed_spread: Share = key("how much workers differ: standard deviation of the logarithm of their speed", 0.05)
    create_s: Amount | None = key("seconds until a rented machine begins to pull the image; 30 at Vast", None)
    pull_s: Amount | None = key("seconds to pull the image, fetch the models and load them; 210 at Vast", None)
    models_gb: Amount = key("GB of models that each new worker downloads at Vast, in addition to `pull_s`", 0.0)
    download_mbps: Annotated[float, Field(gt=0)] | None = key(
        "Mbit/s of that download; without it, the lowest `min_download_mbps` of the groups, or 500", None
    )
    wake_s: Amount | None = key("seconds until a stopped worker is ready again; 45 at Vast", None)
    spread: Share | None = key("standard deviation of these times, as a share of each; 0.25 at Vast", None)
    slow_share: Share | None = key("share of new workers that take `slow_s` longer; 0.025 at Vast", None)
    slow_s: Seconds | None = key("seconds by which they take longer; 300 at Vast", None)
    failure_share: Share | None = key("share of new workers that fail instead of getting ready; 0.025 at Vast", None)
    machine_failures: Amount = key("failures of a ready worker an hour; its jobs run again elsewhere", 0.001)
    model_load_s: Amount = key("seconds to load models when a worker's next job is of another kind", 8.5)
    model_loads: dict[str, Amount] = key("the same for single kinds of jobs: `{ wan22-i2v = 60 }`", {})
