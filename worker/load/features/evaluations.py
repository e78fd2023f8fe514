"""Counts the evaluations of the model that a sampler makes, by the name of the sampler."""

from __future__ import annotations

import re
from functools import lru_cache

_IN_STEP = {
    "heun": 2.0,
    "exp_heun_2_x0": 2.0,
    "exp_heun_2_x0_sde": 2.0,
    "dpm_2": 2.0,
    "dpm_2_ancestral": 2.0,
    "dpmpp_2s_ancestral": 2.0,
    "dpmpp_2s_ancestral_cfg_pp": 2.0,
    "dpmpp_sde": 2.0,
    "dpmpp_sde_gpu": 2.0,
    "seeds_2": 2.0,
    "seeds2": 2.0,
    "sa_solver_pece": 2.0,
    "heunpp2": 3.0,
    "seeds_3": 3.0,
}
"""Evaluations in a step of ComfyUI's samplers that make several. The last step, down to a noise of 0, has only one."""
_STAGES = re.compile(r"_(?:\d+h)?(\d{1,2})s(?:_|$)")
"""Names of RES4LYF: `res_3s` has three stages in each step. `pec423_2h2s` has two, and uses earlier steps as well."""
_IMPLICIT = re.compile(r"^diag_implicit/|^fully_implicit/(?:gauss|radau_iia)")
"""Samplers of RES4LYF that evaluate the model once more in each step, to start their implicit stages."""
_MULTISTEP = re.compile(r"(?:^multistep/.*|^res|^deis)_(\d)m(?:_|$)")
"""Samplers of RES4LYF that use the results of this number of steps. The first steps make up for those that lack."""


@lru_cache(maxsize=512)
def evaluations_in_step(sampler_name: str) -> float:
    """Return the number of evaluations of the model in one step of a sampler. Unknown samplers make one."""
    name = sampler_name.casefold()
    if name in _IN_STEP:
        return _IN_STEP[name]
    stages = _STAGES.search(name)
    return max(float(stages[1]), 1.0) + bool(_IMPLICIT.search(name)) if stages else 1.0


def evaluations(sampler_name: str, steps: float) -> float:
    """Return the number of evaluations of the model in all steps of a sampler."""
    name = sampler_name.casefold()
    in_step = evaluations_in_step(sampler_name)
    if name in _IN_STEP:
        return in_step * max(steps - 1.0, 0.0) + min(steps, 1.0)
    multistep = _MULTISTEP.search(name)
    order = float(multistep[1]) if multistep else 1.0
    return in_step * steps + (order - 1.0) * min(steps, order)
