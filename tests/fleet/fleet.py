"""A small fleet as request bodies."""

from __future__ import annotations

from typing import Any

from worker.fleet.vast.account import Account
from worker.simulators.vast_account import LocalAccount

TEMPLATE: dict[str, Any] = {
    **{"name": "comfy", "image": "example/worker", "tag": "1", "env": "-p 3000:3000", "runtype": "args"},
    **{"docker_login_repo": "ghcr.io", "docker_login_user": "someone", "docker_login_pass": "registry-password"},
    **{"extra_filters": {"gpu_ram": {"gte": 24000}}, "recommended_disk_space": 40.0, "private": True},
}
ENDPOINT: dict[str, Any] = {
    **{"endpoint_name": "comfy", "min_load": 0.0, "min_cold_load": 0.0, "target_util": 0.8, "cold_mult": 2.0},
    **{"cold_workers": 2, "max_workers": 4, "max_queue_time": 20.0, "target_queue_time": 5.0},
    **{"inactivity_timeout": 600.0},
}
SEARCH = "gpu_ram>=24 dph_total<0.5 gpu_name=RTX_4090 geolocation in [NL,DE] verified=True rentable=True rented=False"
"""The defaults written out."""


def group(template_hash: str, search: str = SEARCH) -> dict[str, Any]:
    return {"template_hash": template_hash, "search_params": search, "gpu_ram": 24.0}


def quick(local: LocalAccount, limit_s: float = 60.0) -> Account:
    """Return an account object with pauses that are short enough for a test."""
    return Account(local.api_key, local.url, timeout_s=0.2, limit_s=limit_s, pause_s=0.02)
