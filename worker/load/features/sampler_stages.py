"""Counts the evaluations of the model that a sampler makes in one step, by the name of the sampler."""

from __future__ import annotations

import re
from functools import lru_cache

_TWO = frozenset(
    {
        "heun",
        "exp_heun_2_x0",
        "exp_heun_2_x0_sde",
        "dpm_2",
        "dpm_2_ancestral",
        "dpmpp_2s_ancestral",
        "dpmpp_2s_ancestral_cfg_pp",
        "dpmpp_sde",
        "dpmpp_sde_gpu",
        "seeds_2",
        "sa_solver_pece",
    }
)
_THREE = frozenset({"seeds_3"})
_SINGLE_STEP = re.compile(r"_(\d{1,2})s(?:_|$)")
"""Names of RES4LYF: `res_3s` has three stages in each step. `res_3m` uses the results of earlier steps instead."""
_HYBRID = re.compile(r"_\d+h(\d{1,2})s(?:_|$)")


@lru_cache(maxsize=512)
def stages(sampler_name: str) -> float:
    """Return the number of evaluations of the model in one step of a sampler. Unknown samplers make one."""
    name = sampler_name.casefold().rpartition("/")[2]
    if name in _TWO:
        return 2.0
    if name in _THREE:
        return 3.0
    if name == "heunpp2":
        return 2.5  # three in most steps, fewer in the last two
    if name == "dpm_adaptive":
        return 3.0  # of unknown number; its order is 3
    found = _HYBRID.search(name) or _SINGLE_STEP.search(name)
    return max(float(found[1]), 1.0) if found else 1.0
