"""Counts the evaluations of the model that a sampler makes, by the name of the sampler."""

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
_THREE = frozenset({"heunpp2", "seeds_3"})
_SINGLE_STEP = re.compile(r"_(?:\d+h)?(\d{1,2})s(?:_|$)")
"""Names of RES4LYF: `res_3s` has three stages in each step. `res_3m` uses the results of earlier steps instead.

`pec423_2h2s` combines both, with two stages.
"""


@lru_cache(maxsize=512)
def stages(sampler_name: str) -> float:
    """Return the number of evaluations of the model in one step of a sampler. Unknown samplers make one."""
    name = sampler_name.casefold().rpartition("/")[2]
    if name in _TWO:
        return 2.0
    if name in _THREE:
        return 3.0
    found = _SINGLE_STEP.search(name)
    return max(float(found[1]), 1.0) if found else 1.0


def evaluations(steps: float, stages_in_step: float) -> float:
    """Return the number of evaluations in all steps. The last step, down to a noise of 0, has a single stage."""
    return stages_in_step * max(steps - 1.0, 0.0) + min(steps, 1.0)
