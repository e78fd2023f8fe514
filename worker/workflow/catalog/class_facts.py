"""Classes whose Python code behaves differently from their catalog entry."""

from __future__ import annotations

from worker.workflow.json_value import Json

NO_OUTPUT_NODES = frozenset({"easy saveTextLazy", "easy showAnythingLazy"})
"""Classes that are no output nodes, although their entry says so. They copy the entry of an output node."""

NEVER_VALID = {"easy showAnythingLazy": "unhashable type: 'AlwaysEqualProxy'"}
"""Classes whose nodes never pass ComfyUI's validation, with the error that it raises."""

ONE_OUTPUT_FOR_ALL = frozenset(
    {
        *("easy loadImagesForLoop", "easy whileLoopStart", "easy whileLoopEnd", "easy forLoopStart", "easy forLoopEnd"),
        *("ImageBatchSplitter //Inspire", "LatentBatchSplitter //Inspire", "ImpactInversedSwitch"),
    }
)
"""Classes in which every output slot has the type of slot 0 and fits any input, even slots that are not declared."""

MORE_OUTPUTS = frozenset({"Power Puter (rgthree)"})
"""Classes whose output slots after the last declared one have any type."""

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
UNCHECKED_CHOICES = frozenset(item.replace("+", " ") for item in _UNCHECKED_CHOICES.split())
"""Inputs `CLASS.INPUT` whose choices are a Python tuple. The server only checks choices that are a list."""

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
"""Inputs with choices such as `multistep/res_2m` that accept any other prefix, or none, before the slash."""


def is_unchecked(class_name: str, input_name: str) -> bool:
    """Return whether ComfyUI accepts any value for this input, although it has choices."""
    return f"{class_name}.{input_name}" in UNCHECKED_CHOICES


def is_chosen(class_name: str, input_name: str, value: Json, options: list[Json]) -> bool:
    """Return whether ComfyUI accepts a value for an input with the choices `options`.

    The inputs in `LOOSE_CHOICES` also accept a choice with another prefix before its slash, or without one. For such an
    input, a value that is no text raises TypeError, as in ComfyUI.
    """
    if value in options or is_unchecked(class_name, input_name):
        return True
    if f"{class_name}.{input_name}" not in LOOSE_CHOICES:
        return False
    if isinstance(value, str) and "/" in value:
        base_name = value.rpartition("/")[2]
        return any(isinstance(option, str) and option.endswith(base_name) for option in options)
    suffix = "/" + value  # type: ignore[operator] # raises TypeError for a value that is no text
    return any(isinstance(option, str) and option.endswith(suffix) for option in options)
