"""Proposes a template for any workflow: guesses from the graph and the catalog what a user wants to set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt, is_link, links, title
from worker.workflow.templates.template import ModelFile, ParameterKind
from worker.workflow.templates.template_toml import ProposedParameter, model_table, parameter_table, template_table

PARAMETER_TITLE = re.compile(r"input:\s*(?P<name>[\w -]+?)(?:\.(?P<input>[\w.]+))?\s*", re.ASCII)
"""Title of a node that marks it as a parameter: `input:prompt`, or `input:size.width` for one of its inputs."""
OUTPUT_TITLE = re.compile(r"output(:.*)?", re.ASCII)
"""Title of a node that marks it as an output."""
MEDIA = {"image_upload": ParameterKind.IMAGE, "video_upload": ParameterKind.VIDEO, "audio_upload": ParameterKind.AUDIO}
SEEDS = ("seed", "noise_seed")
NUMBERS = {
    "width": "pixels",
    "height": "pixels",
    "length": "frames",
    "steps": "sampling steps",
    "cfg": "how closely the model follows the prompt",
    "guidance": "how closely the model follows the prompt",
    "denoise": "strength of the change, from 0 to 1",
    "batch_size": "images per job",
}
"""Inputs that users often set, with a description. Inputs with the same name and value become one parameter."""
TEXTS = ("text", "prompt", "positive_prompt", "clip_l", "t5xxl")
VALUES = ("value", *TEXTS, "image", "file", "video", "audio", *SEEDS, *NUMBERS)
"""Inputs that a node titled as a parameter most likely means, in this order."""
SAVES = re.compile(r"save|combine|export", re.IGNORECASE)
NO_MODEL_FOLDERS = frozenset({"input", "output", "temp"})


def scaffold_template(name: str, prompt: Prompt, catalog: Catalog, known_files: Iterable[ModelFile] = ()) -> str:
    """Return the text of `NAME.toml`, which `read_template` accepts.

    The parameters, outputs, packs and model files are guessed from the prompt. For a class that is not in the catalog,
    the names of its inputs decide. `known_files` are model files with a known URL,
    size or hash.
    """
    guess = _TemplateGuess(prompt, catalog)
    known_models = {(model.folder, model.file): model for model in known_files}
    tables = [template_table(name, guess.outputs(), guess.packs())]
    tables += [parameter_table(proposed, prompt) for proposed in guess.parameters()]
    for folder, file in _model_files(prompt, catalog):
        tables.append(model_table(known_models.get((folder, file), ModelFile(file, folder))))
    return "\n".join(tables)


class _TemplateGuess:
    """Guesses the parameters, outputs and node packs of a workflow."""

    def __init__(self, prompt: Prompt, catalog: Catalog) -> None:
        self._prompt = prompt
        self._catalog = catalog
        # Nodes that only the negative conditioning depends on: their texts are negative prompts.
        self._negative = _conditioning_sources(prompt, "negative", "positive") - _conditioning_sources(
            prompt, "positive", "negative"
        )

    def specs(self, node: Node) -> dict[str, InputSpec]:
        """Return the inputs of a node by name, empty if its class is not in the catalog."""
        node_class = self._catalog.get(node["class_type"])
        return dict(expand(node_class, node["inputs"])) if node_class else {}

    def parameters(self) -> list[ProposedParameter]:
        """Return a parameter for each node titled `input:NAME`, or for common inputs if no node has such a title."""
        parameters: list[ProposedParameter] = []
        for proposed in list(self._titled_parameters()) or self._common_parameters():
            _add_parameter(parameters, proposed)
        return parameters

    def outputs(self) -> list[str]:
        """Return the ids of the nodes whose files are the result: the nodes titled `output` if there are any.

        Otherwise these are the output nodes that save files, else all output nodes, else the nodes that no other node
        is linked to.
        """
        titled = [node_id for node_id in self._prompt if OUTPUT_TITLE.fullmatch(title(self._prompt, node_id))]
        classes = {node_id: self._catalog.get(node["class_type"]) for node_id, node in self._prompt.items()}
        outputs = [node_id for node_id, node_class in classes.items() if node_class and node_class.output_node]
        saves = [node_id for node_id in outputs if SAVES.search(self._prompt[node_id]["class_type"])]
        return titled or saves or outputs or _unused(self._prompt)

    def packs(self) -> list[str]:
        """Return the names of the custom node packs that the workflow uses."""
        class_types = {node["class_type"] for node in self._prompt.values()}
        modules = {self._catalog[name].pack for name in class_types if name in self._catalog}
        return sorted(pack.removeprefix("custom_nodes.") for pack in modules if pack.startswith("custom_nodes."))

    def _titled_parameters(self) -> Iterator[ProposedParameter]:
        """Yield a parameter for each node titled `input:NAME` or `input:NAME.INPUT`.

        Without a valid INPUT, the parameter sets the input that the node most likely stands for.
        """
        for node_id, node in self._prompt.items():
            marker = PARAMETER_TITLE.fullmatch(title(self._prompt, node_id))
            unlinked = [key for key, value in node["inputs"].items() if not is_link(value)]
            if marker is None or not unlinked:
                continue
            key = marker["input"] or next((name for name in VALUES if name in unlinked), None)
            if key not in unlinked:
                key = unlinked[0]
            if key:
                yield self._proposed(_safe_name(marker["name"]), node_id, key)

    def _common_parameters(self) -> Iterator[ProposedParameter]:
        """Yield a parameter for each input that users often set."""
        for node_id, node in self._prompt.items():
            for key, value in node["inputs"].items():
                holder = self._value_holder(node_id, key, value)
                if holder is None:
                    continue
                # The name depends on the input, but the parameter sets the node that holds the value.
                holder_id, holder_key = holder
                name = self._parameter_name(node_id, key, self._prompt[holder_id]["inputs"][holder_key])
                if name is not None:
                    yield self._proposed(name, holder_id, holder_key)

    def _value_holder(self, node_id: str, key: str, value: Json) -> tuple[str, str] | None:
        """Return (node id, input) of the input that holds the value of an input, or None if no input holds it.

        This is the input itself, or the `value` of a primitive node to which it is linked.
        """
        if not is_link(value):
            return node_id, key
        match value:
            case [str(source), int()] if source in self._prompt:
                holder = self._prompt[source]
                is_primitive = holder["class_type"].startswith("Primitive") and "value" in holder["inputs"]
                return (source, "value") if is_primitive and not is_link(holder["inputs"]["value"]) else None
        return None

    def _parameter_name(self, node_id: str, key: str, value: Json) -> str | None:
        """Return the name of the parameter for the input `key`, or None if users do not often set such an input."""
        node = self._prompt[node_id]
        spec = self.specs(node).get(key)
        media = _media_kind(node, key, spec)
        if media is not None:
            return media.value
        if key in SEEDS and isinstance(value, int):
            has_no_effect = node["inputs"].get("add_noise") == "disable"
            return None if has_no_effect else "seed"
        if key in NUMBERS and isinstance(value, int | float) and not isinstance(value, bool):
            return "batch" if key == "batch_size" else key
        if key in TEXTS and isinstance(value, str):
            return "negative_prompt" if node_id in self._negative else "prompt"
        return None

    def _proposed(self, name: str, node_id: str, key: str) -> ProposedParameter:
        """Return a proposed parameter with this name for the input `key` of a node."""
        node = self._prompt[node_id]
        spec = self.specs(node).get(key)
        value = node["inputs"][key]
        kind = _parameter_kind(node, key, value, spec)
        if name == "seed" and isinstance(value, int):  # the input may be the `value` of a primitive node
            kind = ParameterKind.SEED
        about = NUMBERS.get("batch_size" if name == "batch" else name, "")
        return ProposedParameter(name, kind, value, spec, about, [(node_id, key)])


def _add_parameter(parameters: list[ProposedParameter], proposed: ProposedParameter) -> None:
    """Append a parameter to the list, or add its targets to a parameter of the list that stands for the same value.

    All seeds become one parameter. Numbers with the same name and value become one too. Any other parameter is renamed
    if its name is already used. A parameter whose target is already in the list is dropped.
    """
    for other in parameters:
        same_number = other.value == proposed.value and proposed.kind in {ParameterKind.INTEGER, ParameterKind.NUMBER}
        if proposed.targets[0] in other.targets:
            return  # several nodes are linked to the same primitive node
        if other.name == proposed.name and (proposed.kind is ParameterKind.SEED or same_number):
            other.targets += proposed.targets
            return
    used = {other.name for other in parameters}
    names = [proposed.name, *(f"{proposed.name}{number}" for number in range(2, len(parameters) + 2))]
    proposed.name = next(name for name in names if name not in used)
    parameters.append(proposed)


def _parameter_kind(node: Node, key: str, value: Json, spec: InputSpec | None) -> ParameterKind:
    """Return the type of the parameter for the input `key` with this value. `spec` is None for an unknown class."""
    media = _media_kind(node, key, spec)
    if media is not None:
        return media
    if key in SEEDS:
        return ParameterKind.SEED
    if isinstance(value, bool):
        return ParameterKind.BOOLEAN
    if isinstance(value, int | float):
        is_integer = spec.type == "INT" if spec else isinstance(value, int)
        return ParameterKind.INTEGER if is_integer else ParameterKind.NUMBER
    lists_files = spec is not None and bool(spec.folders)  # files differ from machine to machine
    options = () if spec is None or lists_files else spec.options or ()
    all_strings = all(isinstance(option, str) for option in options)
    return ParameterKind.CHOICE if all_strings and value in options else ParameterKind.STRING


def _media_kind(node: Node, key: str, spec: InputSpec | None) -> ParameterKind | None:
    """Return the media type of a file input (image, video or audio), or None if the input `key` is no media file."""
    if not isinstance(node["inputs"].get(key), str):
        return None
    if spec is None:
        return ParameterKind.IMAGE if (node["class_type"], key) == ("LoadImage", "image") else None
    options = spec.config[1]
    marked = next((kind for mark, kind in MEDIA.items() if options.get(mark)), None)
    return marked or (ParameterKind.IMAGE if "input" in spec.folders else None)


def _conditioning_sources(prompt: Prompt, name: str, other: str) -> frozenset[str]:
    """Return the ids of all nodes that inputs called `name` depend on.

    The search stops at a node that also has an input called `other`, because it passes on both conditionings.
    """
    waiting = [source for node in prompt.values() for key, source, _ in links(node) if key == name]
    source_ids: set[str] = set()
    while waiting:
        node_id = waiting.pop()
        if node_id in prompt and node_id not in source_ids:
            source_ids.add(node_id)
            next_sources = {key: source for key, source, _ in links(prompt[node_id])}
            if other not in next_sources:
                waiting += next_sources.values()
    return frozenset(source_ids)


def _unused(prompt: Prompt) -> list[str]:
    """Return the ids of the nodes that no other node is linked to."""
    used = {source for node in prompt.values() for _, source, _ in links(node)}
    return [node_id for node_id in prompt if node_id not in used]


def _safe_name(name: str) -> str:
    """Return a name as a valid name of a parameter: lower case, and `_` for all other characters."""
    safe = re.sub(r"\W+", "_", name.strip().lower()).strip("_")
    return safe if safe[:1].isalpha() else f"value_{safe}"


def _model_files(prompt: Prompt, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield (folder, file) for each model file that the workflow names, without repetitions."""
    yielded: set[tuple[str, str]] = set()
    for node in prompt.values():
        node_class = catalog.get(node["class_type"])
        for key, spec in expand(node_class, node["inputs"]).items() if node_class else ():
            value = node["inputs"].get(key)
            folder = spec.folders[0] if spec.folders else None
            if not isinstance(value, str) or folder is None or folder in NO_MODEL_FOLDERS:
                continue
            if value in (spec.options or ()):  # a choice of the class itself, not a file of a machine
                continue
            if (folder, value) not in yielded:
                yielded.add((folder, value))
                yield folder, value
