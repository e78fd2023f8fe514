"""What some classes do otherwise than their catalog entry says: facts of their Python code."""

from __future__ import annotations

from worker.workflow.json_value import Json

NO_OUTPUT_NODES = frozenset({"easy saveTextLazy", "easy showAnythingLazy"})
"""Their entry is that of the class they are made from, which is an output node."""

NEVER_VALID = {"easy showAnythingLazy": "unhashable type: 'AlwaysEqualProxy'"}
"""What ComfyUI's validation raises at any node of these."""

ONE_OUTPUT_FOR_ALL = frozenset(
    {
        *("easy loadImagesForLoop", "easy whileLoopStart", "easy whileLoopEnd", "easy forLoopStart", "easy forLoopEnd"),
        *("ImageBatchSplitter //Inspire", "LatentBatchSplitter //Inspire", "ImpactInversedSwitch"),
    }
)
"""Every slot above 0 has the type of slot 0, also slots that the entry does not have, and goes into any input."""

MORE_OUTPUTS = frozenset({"Power Puter (rgthree)"})
"""Slots after the last one that the entry has are of any type."""

_UNCHECKED_CHOICES = (
    "AdvancedNoise.noise_type ClownOptions_SDE_Beta.noise_type_sde ClownOptions_SDE_Beta.noise_type_sde_substep"
    " ClownSampler.noise_type_sde ClownSamplerAdvanced.noise_type_sde ClownSamplerAdvanced.noise_type_sde_substep"
    " ClownsharKSampler.noise_type_init ClownsharKSampler.noise_type_sde ClownsharKSamplerOptions.noise_type_init"
    " ClownsharKSamplerOptions.noise_type_sde LatentNoised.noise_type Legacy_ClownSampler.noise_sampler_type"
    " Legacy_ClownsharKSampler.noise_type_init Legacy_ClownsharKSampler.noise_type_sde"
    " Legacy_SharkSampler.noise_type SharkOptions_Beta.noise_type_init UltraSharkSampler.noise_type"
    " UltraSharkSampler+Tiled.noise_type easy+applyInpaint.encode easy+applyInpaint.inpaint_mode"
    " easy+imageRemBg.rem_mode easy+joinImageBatch.mode"
)
UNCHECKED_CHOICES = frozenset(_UNCHECKED_CHOICES.replace("+", "\0").split())
"""Choices that the class gives as a tuple, which the server does not take for a list of choices."""

LOOSE_CHOICES = frozenset(
    {
        "ClownOptions_Cycles_Beta.unsampler_override",
        "ClownOptions_SwapSampler_Beta.sampler_name",
        "ClownSamplerAdvanced_Beta.sampler_name",
        "ClownSampler_Beta.sampler_name",
        "ClownSamplerSelector_Beta.sampler_name",
        "ClownsharKSampler_Beta.sampler_name",
        "ClownsharkChainsampler_Beta.sampler_name",
    }
)
"""Choices such as `multistep/res_2m` that are also taken without the part before the slash, or with another."""


def is_unchecked(class_name: str, input_name: str) -> bool:
    """Tell whether the server takes any value for this choice."""
    return f"{class_name}.{input_name}".replace(" ", "\0") in UNCHECKED_CHOICES


def is_chosen(class_name: str, input_name: str, value: Json, options: list[Json]) -> bool:
    """Tell whether the server finds a value among these choices. Raises TypeError where it does."""
    if value in options or is_unchecked(class_name, input_name):
        return True
    if f"{class_name}.{input_name}" not in LOOSE_CHOICES:
        return False
    if isinstance(value, str) and "/" in value:
        last = value.rpartition("/")[2]
        return any(isinstance(option, str) and option.endswith(last) for option in options)
    return any(isinstance(option, str) and option.endswith("/" + value) for option in options)  # type: ignore[operator]
