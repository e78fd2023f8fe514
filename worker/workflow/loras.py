"""LoRAs that nodes of packs load by a name inside of a value: in an entry of a list, or in a tag of a text.

ComfyUI does not look at these names when it takes a prompt, and the packs go on without a LoRA that is not there.
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
POPULATED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ImpactWildcardEncode": ("mode", ("",)),
    "WildcardEncode //Inspire": ("mode", ("",)),
    "MakeBasicPipe //Inspire": ("wildcard_mode", ("positive_", "negative_")),
}
"""Classes with a text to fill in and a filled in one, of which a mode says which is used: (mode, prefixes of both)."""
_DETAILERS = (
    *("FaceDetailer", "DetailerForEach", "DetailerForEachDebug", "DetailerForEachPipe", "DetailerForEachDebugPipe"),
    *("ToDetailerPipe", "ToDetailerPipeSDXL", "BasicPipeToDetailerPipe", "BasicPipeToDetailerPipeSDXL"),
    *("EditDetailerPipe", "EditDetailerPipeSDXL"),
)
_EASY = tuple(
    f"easy {name}" for name in ("fullLoader", "a1111Loader", "comfyLoader", "cascadeLoader", "loraPromptApply")
)
_TEXTS = dict.fromkeys(_DETAILERS, ("wildcard",)) | dict.fromkeys(_EASY, ("positive", "negative"))
_MAYBE = {"easy ipadapterApplyRegional", "easy pipeEdit", "easy pipeEditPrompt", "easy preDetailerFix"}
"""Classes that read tags under conditions that no prompt shows."""
_STRENGTHS = ("strength", "strength_model", "model_strength", "weight")
_SWITCHES = ("on", "active", "enabled")


@dataclass(frozen=True, slots=True)
class NamedLora:
    """`input` is the place of the name (`lora_1.lora`), `file` what the pack takes for it, else what it would take.

    `certain`: the node loads it whenever it runs, and leaves it out without an error where it is not there.
    """

    node_id: str
    input: str
    name: str
    file: str
    listed: bool
    is_certain: bool


@dataclass(frozen=True, slots=True)
class _Name:
    input: str
    name: str
    is_certain: bool


def named_loras(prompt: Prompt, catalog: Catalog) -> Iterator[NamedLora]:
    """Yield those of the nodes that run, in the prompt's order."""
    listed, with_tags = listed_loras(catalog), _with_tags(prompt)
    for node_id in running_nodes(prompt, catalog):
        for one, find in _names(prompt, node_id, with_tags):
            found = find(one.name, listed)
            file = found or with_extension(one.name.replace("\\", "/"))
            yield NamedLora(node_id, one.input, one.name, file, found is not None, one.is_certain)


def listed_loras(catalog: Catalog) -> Sequence[str]:
    """Return the LoRAs that the engine offers."""
    spec = catalog["LoraLoader"].by_name.get("lora_name") if "LoraLoader" in catalog else None
    return [option for option in (spec.options or () if spec else ()) if isinstance(option, str)]


def reads_loras(class_type: str) -> bool:
    """Tell whether it is known how a class names LoRAs inside of its values."""
    return class_type in {POWER_LORA_LOADER, *POWER_PROMPTS, *POPULATED, *_TEXTS}


def _names(
    prompt: Prompt, node_id: str, with_tags: Mapping[str, Sequence[LoraTag]]
) -> Iterator[tuple[_Name, FindLora]]:
    node = prompt[node_id]
    class_type = node["class_type"]
    if class_type == POWER_LORA_LOADER:
        yield from ((one, find_by_part) for one in _power_lora(node))
    elif class_type in POWER_PROMPTS:
        yield from ((one, find_by_part) for one in _power_prompt(node, POWER_PROMPTS[class_type]))
    elif class_type in POPULATED or class_type in _TEXTS or class_type in _MAYBE:
        yield from ((one, find_by_ending) for one in _in_texts(prompt, node_id, with_tags))
    else:
        yield from ((one, find_by_part) for one in _in_entries(node))


def _power_lora(node: Node) -> Iterator[_Name]:
    """Yield the entries that are on and have a strength, of which the one for CLIP counts only where CLIP is linked."""
    inputs = node["inputs"]
    for key, value in inputs.items():
        match value:
            case {"on": on, "lora": str(name), "strength": strength, **more} if key.upper().startswith("LORA_"):
                two = more.get("strengthTwo")
                clip = (strength if two is None else two) if is_link(inputs.get("clip")) else 0
                if on and (strength != 0 or clip != 0) and name not in {"", "None"}:
                    yield _Name(f"{key}.lora", name, is_link(inputs.get("model")))


def _power_prompt(node: Node, names: Sequence[str]) -> Iterator[_Name]:
    inputs = node["inputs"]
    linked = is_link(inputs.get("opt_model")) and is_link(inputs.get("opt_clip"))
    if not linked or inputs.get("insert_lora") == "DISABLE LORAS":
        return
    for name in names:
        text = inputs.get(name)
        yield from _tagged(name, rgthree_tags(text) if isinstance(text, str) else (), is_certain=True)


def _with_tags(prompt: Prompt) -> dict[str, list[LoraTag]]:
    """Return the LoRAs in the texts of each node that has any: many nodes may be linked to the same ones."""
    found: dict[str, list[LoraTag]] = {}
    for node_id, node in prompt.items():
        texts = [text for text in node["inputs"].values() if isinstance(text, str) and TAG in text]
        if texts:
            found[node_id] = list(lora_tags("\n".join(texts)))
    return found


def _in_texts(prompt: Prompt, node_id: str, with_tags: Mapping[str, Sequence[LoraTag]]) -> Iterator[_Name]:
    node = prompt[node_id]
    inputs, certain = node["inputs"], node["class_type"] not in _MAYBE
    for name in _texts(node):
        value = inputs.get(name)
        if isinstance(value, str):
            yield from _tagged(name, lora_tags(value), is_certain=certain)
        elif with_tags and isinstance(value, list) and is_link(value):
            source = str(value[0])
            for before in (source, *ancestors(prompt, source)) if source in prompt else ():
                yield from _tagged(name, with_tags.get(before, ()), is_certain=False)


def _texts(node: Node) -> Iterator[str]:
    """Yield the inputs whose text counts: where the mode says so, the pack fills in a text before the node runs."""
    class_type = node["class_type"]
    if class_type in POPULATED:
        mode, prefixes = POPULATED[class_type]
        filled = node["inputs"].get(mode) in (True, "populate")
        yield from (f"{prefix}{'wildcard' if filled else 'populated'}_text" for prefix in prefixes)
    elif class_type in _TEXTS:
        yield from _TEXTS[class_type]
    else:
        yield from (name for name in node["inputs"] if "positive" in name or "negative" in name or name == "wildcard")


def _tagged(name: str, found: Iterator[LoraTag] | Sequence[LoraTag], *, is_certain: bool) -> Iterator[_Name]:
    yield from (_Name(name, tag.name, is_certain and tag.is_certain) for tag in found)


def _in_entries(node: Node) -> Iterator[_Name]:
    """Yield what looks like an entry for a LoRA, in nodes of classes of which nothing is known."""
    waiting: list[tuple[str, Json]] = list(node["inputs"].items())
    while waiting:
        place, value = waiting.pop()
        match value:
            case dict():
                name = _entry(value, node["class_type"])
                if name is not None:
                    yield _Name(place, name, is_certain=False)
                else:
                    waiting += [(f"{place}.{key}", item) for key, item in value.items()]
            case list():
                waiting += [(f"{place}.{index}", item) for index, item in enumerate(value)]


def _entry(value: Mapping[str, Json], class_type: str) -> str | None:
    """Return the name in an entry that is on and has a strength."""
    named = value.get("lora") or value.get("lora_name") or (value.get("name") if "lora" in class_type.lower() else None)
    strengths = [value[key] for key in _STRENGTHS if key in value]
    switches = [value[key] for key in _SWITCHES if key in value]
    is_entry = isinstance(named, str) and named != "None" and bool(strengths or switches)
    off = False in switches or (bool(strengths) and not any(strengths))
    return named if isinstance(named, str) and is_entry and not off else None
