"""Offers of a small market, in the form in which Vast's search returns them."""

from __future__ import annotations

from typing import Any


def offer(gpu_name: str, dph_total: float, **more: Any) -> dict[str, Any]:
    """Return the row of a machine with one GPU that can be rented now."""
    states = {"verified": True, "rentable": True, "rented": False, "external": False, "num_gpus": 1}
    costs = {"storage_cost": 0.15, "inet_down_cost": 0.003, "inet_up_cost": 0.002}
    return {"gpu_name": gpu_name, "gpu_ram": 24564.0, "dph_total": dph_total, **states, **costs, **more}


OFFERS = [
    offer("RTX 4090", 0.40),
    offer("RTX 4090", 0.30, storage_cost=0.10),
    offer("RTX 4090", 0.50, storage_cost=0.20),
    offer("RTX 4090", 0.80, inet_down_cost=0.02),
    offer("RTX 4090", 0.60),
    offer("A100 SXM4", 0.90, gpu_ram=40960.0),
    offer("A100 SXM4", 1.10, gpu_ram=81920.0),
    offer("A100 PCIE", 1.30, gpu_ram=81920.0),
    offer("H100 SXM", 2.40, gpu_ram=81559.0),
    offer("Quantum 9", 9.99),
    offer("RTX 4090", 0.70, num_gpus=2),  # not searched for
    offer("RTX 4090", 0.10, rented=True),
    offer("RTX 4090", 0.10, verified=False),
]
