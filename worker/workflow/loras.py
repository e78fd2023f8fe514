"""LoRAs whose name is part of an input's value: in an entry of a list, or in a tag of a text.

ComfyUI does not validate these names, and the node packs run without a missing LoRA.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import Json
from worker.workflow.lora_names import (
    TAG,
    FindLora,
    LoraTag,
    find_by_ending,
    find_by_part,
    lora_tags,
    rgthree_tags,
    with_extension,
)
from worker.workflow.prompt import Node, Prompt, ancestors, is_link
from worker.workflow.running_nodes import running_nodes

LORAS = "loras"
POWER_LORA_LOADER = "Power Lora Loader (rgthree)"
POWER_PROMPTS: Mapping[str, tuple[str, ...]] = {
    "Power Prompt (rgthree)": ("prompt",),
    "SDXL Power Prompt - Positive (rgthree)": ("prompt_g", "prompt_l"),
}
POPULATED_TEXTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ImpactWildcardEncode": ("mode", ("",)),
    "WildcardEncode //Inspire": ("mode", ("",)),
    "MakeBasicPipe //Inspire": ("wildcard_mode", ("positive_", "negative_")),
}
"""Classes with two text inputs, one with wildcards and one already populated: (mode input, prefixes of the texts).

The mode input selects the text that is used.
"""
_DETAILERS = (
    *("FaceDetailer", "DetailerForEach", "DetailerForEachDebug", "DetailerForEachPipe", "DetailerForEachDebugPipe"),
    *("ToDetailerPipe", "ToDetailerPipeSDXL", "BasicPipeToDetailerPipe", "BasicPipeToDetailerPipeSDXL"),
    *("EditDetailerPipe", "EditDetailerPipeSDXL"),
)
_EASY = tuple(
    f"easy {name}" for name in ("fullLoader", "a1111Loader", "comfyLoader", "cascadeLoader", "loraPromptApply")
)
_TEXT_INPUTS = dict.fromkeys(_DETAILERS, ("wildcard",)) | dict.fromkeys(_EASY, ("positive", "negative"))
_CONDITIONAL_READERS = {"easy ipadapterApplyRegional", "easy pipeEdit", "easy pipeEditPrompt", "easy preDetailerFix"}
"""Classes that read tags under conditions that the prompt does not show."""
_STRENGTH_KEYS = ("strength", "strength_model", "model_strength", "weight")
_SWITCH_KEYS = ("on", "active", "enabled")


@dataclass(frozen=True, slots=True)
class NamedLora:
    """A LoRA that a node names inside of a value.

    `input` is the path of the name (`lora_1.lora`). `file` is the listed file that the pack loads for the name, else
    the file that it would look for. `is_certain` is True if the node loads the LoRA whenever it runs, and skips a
    missing one without an error.
    """

    node_id: str
    input: str
    name: str
    file: str
    listed: bool
    is_certain: bool


@dataclass(frozen=True, slots=True)
class _LoraName:
    """A name of a LoRA, and the input that contains it."""

    input: str
    name: str
    is_certain: bool


def named_loras(prompt: Prompt, catalog: Catalog) -> Iterator[NamedLora]:
    """Yield the LoRAs that running nodes name inside of values, in the order of the prompt."""
    listed, tags_by_node = listed_loras(catalog), _tags_by_node(prompt)
    for node_id in running_nodes(prompt, catalog):
        for lora, find_file in _loras_of_node(prompt, node_id, tags_by_node):
            match = find_file(lora.name, listed)
            file = match or with_extension(lora.name.replace("\\", "/"))
            yield NamedLora(node_id, lora.input, lora.name, file, match is not None, lora.is_certain)


def listed_loras(catalog: Catalog) -> Sequence[str]:
    """Return the LoRA files that the engine lists: the choices of `LoraLoader`, or none if it lacks this class."""
    spec = catalog["LoraLoader"].by_name.get("lora_name") if "LoraLoader" in catalog else None
    if spec is None:
        return []
    return [option for option in spec.options or () if isinstance(option, str)]


def reads_loras(class_type: str) -> bool:
    """Return whether this module knows how the class names LoRAs inside of its values."""
    return class_type in {POWER_LORA_LOADER, *POWER_PROMPTS, *POPULATED_TEXTS, *_TEXT_INPUTS}


def _loras_of_node(
    prompt: Prompt, node_id: str, tags_by_node: Mapping[str, Sequence[LoraTag]]
) -> Iterator[tuple[_LoraName, FindLora]]:
    """Yield (LoRA, function that finds its file) for each LoRA that a node names."""
    node = prompt[node_id]
    class_type = node["class_type"]
    if class_type == POWER_LORA_LOADER:
        yield from ((lora, find_by_part) for lora in _loras_of_power_loader(node))
    elif class_type in POWER_PROMPTS:
        yield from ((lora, find_by_part) for lora in _loras_of_power_prompt(node, POWER_PROMPTS[class_type]))
    elif class_type in POPULATED_TEXTS or class_type in _TEXT_INPUTS or class_type in _CONDITIONAL_READERS:
        yield from ((lora, find_by_ending) for lora in _loras_in_texts(prompt, node_id, tags_by_node))
    else:
        yield from ((lora, find_by_part) for lora in _loras_in_entries(node))


def _loras_of_power_loader(node: Node) -> Iterator[_LoraName]:
    """Yield the LoRAs of a Power Lora Loader that are enabled and have a strength other than 0.

    The strength for CLIP only counts if a CLIP is linked.
    """
    inputs = node["inputs"]
    for key, value in inputs.items():
        match value:
            case {"on": on, "lora": str(name), "strength": strength, **fields} if key.upper().startswith("LORA_"):
                clip_strength = fields.get("strengthTwo")
                if clip_strength is None:
                    clip_strength = strength
                has_effect = strength != 0 or (clip_strength != 0 and is_link(inputs.get("clip")))
                if on and has_effect and name not in {"", "None"}:
                    # Without a linked model, the loader loads nothing.
                    yield _LoraName(f"{key}.lora", name, is_certain=is_link(inputs.get("model")))


def _loras_of_power_prompt(node: Node, names: Sequence[str]) -> Iterator[_LoraName]:
    """Yield the LoRAs in the texts of a Power Prompt, which only loads them if a model and a CLIP are linked."""
    inputs = node["inputs"]
    linked = is_link(inputs.get("opt_model")) and is_link(inputs.get("opt_clip"))
    if not linked or inputs.get("insert_lora") == "DISABLE LORAS":
        return
    for name in names:
        text = inputs.get(name)
        yield from _loras_of_tags(name, rgthree_tags(text) if isinstance(text, str) else (), is_certain=True)


def _tags_by_node(prompt: Prompt) -> dict[str, list[LoraTag]]:
    """Return the LoRA tags in the texts of each node by node id. Nodes without tags are omitted.

    Computed once for a prompt, because many nodes may link to the same texts.
    """
    tags: dict[str, list[LoraTag]] = {}
    for node_id, node in prompt.items():
        texts = [text for text in node["inputs"].values() if isinstance(text, str) and TAG in text]
        if texts:
            tags[node_id] = list(lora_tags("\n".join(texts)))
    return tags


def _loras_in_texts(prompt: Prompt, node_id: str, tags_by_node: Mapping[str, Sequence[LoraTag]]) -> Iterator[_LoraName]:
    """Yield the LoRAs in the texts of a node, and in the texts of all nodes that a linked text depends on.

    The latter are not certain, because the nodes in between may change the text.
    """
    node = prompt[node_id]
    inputs, reads_always = node["inputs"], node["class_type"] not in _CONDITIONAL_READERS
    for name in _text_inputs(node):
        value = inputs.get(name)
        if isinstance(value, str):
            yield from _loras_of_tags(name, lora_tags(value), is_certain=reads_always)
        elif tags_by_node and isinstance(value, list) and is_link(value):
            source = str(value[0])
            for ancestor in (source, *ancestors(prompt, source)) if source in prompt else ():
                yield from _loras_of_tags(name, tags_by_node.get(ancestor, ()), is_certain=False)


def _text_inputs(node: Node) -> Iterator[str]:
    """Yield the names of the inputs whose text a node reads. For a class in `POPULATED_TEXTS`, its mode decides."""
    class_type = node["class_type"]
    if class_type in POPULATED_TEXTS:
        mode_input, prefixes = POPULATED_TEXTS[class_type]
        reads_wildcards = node["inputs"].get(mode_input) in (True, "populate")
        suffix = "wildcard_text" if reads_wildcards else "populated_text"
        yield from (f"{prefix}{suffix}" for prefix in prefixes)
    elif class_type in _TEXT_INPUTS:
        yield from _TEXT_INPUTS[class_type]
    else:
        yield from (name for name in node["inputs"] if "positive" in name or "negative" in name or name == "wildcard")


def _loras_of_tags(name: str, tags: Iterator[LoraTag] | Sequence[LoraTag], *, is_certain: bool) -> Iterator[_LoraName]:
    """Yield the LoRAs of the tags in the input `name`. Without `is_certain`, none of them is certain."""
    yield from (_LoraName(name, tag.name, is_certain and tag.is_certain) for tag in tags)


def _loras_in_entries(node: Node) -> Iterator[_LoraName]:
    """Yield the LoRAs in values, at any depth, that look like an entry for a LoRA.

    Used for classes that this module does not know.
    """
    waiting: list[tuple[str, Json]] = list(node["inputs"].items())
    while waiting:
        path, value = waiting.pop()
        match value:
            case dict():
                name = _enabled_lora(value, node["class_type"])
                if name is not None:
                    yield _LoraName(path, name, is_certain=False)
                else:
                    waiting += [(f"{path}.{key}", item) for key, item in value.items()]
            case list():
                waiting += [(f"{path}.{index}", item) for index, item in enumerate(value)]


def _enabled_lora(value: Mapping[str, Json], class_type: str) -> str | None:
    """Return the name of the LoRA in an entry such as `{"lora": name, "strength": 1, "on": true}`.

    Return None for an entry that is switched off or has a strength of 0, and for a value that is no such entry.
    """
    name = value.get("lora") or value.get("lora_name") or None
    if not name and "lora" in class_type.lower():
        name = value.get("name")
    strengths = [value[key] for key in _STRENGTH_KEYS if key in value]
    switches = [value[key] for key in _SWITCH_KEYS if key in value]
    is_off = False in switches or (bool(strengths) and not any(strengths))
    if not isinstance(name, str) or name == "None" or is_off or not (strengths or switches):
        return None
    return name
