"""Proposes a template for any workflow: guesses from the graph and the catalog what a user wants to set."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt, is_link, links, title
from worker.workflow.templates.template import ModelFile, ParameterKind
from worker.workflow.templates.value import SEED_MAX

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
STANDARD = frozenset({"input", "output", "temp"})


@dataclass(slots=True)
class ProposedParameter:
    """A proposed parameter. Each of the `targets` has the value `value`. `spec` describes the first target."""

    name: str
    kind: ParameterKind
    value: Json
    spec: InputSpec | None
    about: str = ""
    targets: list[tuple[str, str]] = field(default_factory=list)


def scaffold_template(name: str, prompt: Prompt, catalog: Catalog, known: Iterable[ModelFile] = ()) -> str:
    """Return the text of `NAME.toml`, which `read_template` accepts.

    For a class that is not in the catalog, the names of its inputs decide. `known` are model files with a known URL,
    size or hash.
    """
    search = _ParameterSearch(prompt, catalog)
    known_models = {(model.folder, model.file): model for model in known}
    parts = [_head(name, search), *(_parameter(proposed, prompt) for proposed in search.parameters())]
    models = [known_models.get((folder, file), ModelFile(file, folder)) for folder, file in _models(prompt, catalog)]
    return "\n".join([*parts, *map(_model, models)])


class _ParameterSearch:
    """Finds parameters, outputs and node packs of a workflow."""

    def __init__(self, prompt: Prompt, catalog: Catalog) -> None:
        self._prompt = prompt
        self._catalog = catalog
        self._negative = _sources(prompt, "negative", "positive") - _sources(prompt, "positive", "negative")

    def specs(self, node: Node) -> dict[str, InputSpec]:
        """Return the inputs of a node by name, empty if its class is not in the catalog."""
        node_class = self._catalog.get(node["class_type"])
        return dict(expand(node_class, node["inputs"])) if node_class else {}

    def parameters(self) -> list[ProposedParameter]:
        """Return the parameters that node titles ask for, or the usual ones if no title asks for any."""
        parameters: list[ProposedParameter] = []
        for proposed in list(self._titled()) or self._usual():
            _add(parameters, proposed)
        return parameters

    def outputs(self) -> list[str]:
        """Return the outputs: nodes titled so, else save nodes, else all output nodes, else nodes that none uses."""
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

    def _titled(self) -> Iterator[ProposedParameter]:
        """Yield the parameters that node titles ask for."""
        for node_id, node in self._prompt.items():
            titled = PARAMETER_TITLE.fullmatch(title(self._prompt, node_id))
            if titled is None:
                continue
            unlinked = [key for key, value in node["inputs"].items() if not is_link(value)]
            key = titled["input"] or next((name for name in VALUES if name in unlinked), None)
            key = key if key in unlinked else next(iter(unlinked), None)
            if key:
                yield self._proposed(_safe_name(titled["name"]), node_id, key)

    def _usual(self) -> Iterator[ProposedParameter]:
        """Yield a parameter for each input that users often set."""
        for node_id, node in self._prompt.items():
            for key, value in node["inputs"].items():
                target = self._target(node_id, key, value)
                name = target and self._name(node_id, key, self._prompt[target[0]]["inputs"][target[1]])
                if target and name:
                    yield self._proposed(name, *target)

    def _target(self, node_id: str, key: str, value: Json) -> tuple[str, str] | None:
        """Return (node id, input) that has the value of an input: itself, or that of a linked primitive node."""
        if not is_link(value):
            return node_id, key
        match value:
            case [str(source), int()] if source in self._prompt:
                holder = self._prompt[source]
                holds = holder["class_type"].startswith("Primitive") and "value" in holder["inputs"]
                return (source, "value") if holds and not is_link(holder["inputs"]["value"]) else None
        return None

    def _name(self, node_id: str, key: str, value: Json) -> str | None:
        """Return the name of the parameter for an input, or None if the input should be no parameter."""
        node = self._prompt[node_id]
        spec = self.specs(node).get(key)
        if media := _media(node, key, spec):
            return media.value
        if key in SEEDS and isinstance(value, int):
            return None if node["inputs"].get("add_noise") == "disable" else "seed"
        if key in NUMBERS and isinstance(value, int | float) and not isinstance(value, bool):
            return "batch" if key == "batch_size" else key
        if key in TEXTS and isinstance(value, str):
            return "negative_prompt" if node_id in self._negative else "prompt"
        return None

    def _proposed(self, name: str, node_id: str, key: str) -> ProposedParameter:
        """Return a proposed parameter for one input."""
        node = self._prompt[node_id]
        spec = self.specs(node).get(key)
        value = node["inputs"][key]
        kind = ParameterKind.SEED if name == "seed" and isinstance(value, int) else _kind(node, key, value, spec)
        about = NUMBERS.get("batch_size" if name == "batch" else name, "")
        return ProposedParameter(name, kind, value, spec, about, [(node_id, key)])


def _add(parameters: list[ProposedParameter], proposed: ProposedParameter) -> None:
    """Add a parameter to the list, or its targets to an equal one.

    All seeds become one parameter. Numbers with the same name and value become one too. Any other parameter gets a
    unique name.
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


def _kind(node: Node, key: str, value: Json, spec: InputSpec | None) -> ParameterKind:
    """Return the type of the parameter for an input."""
    if media := _media(node, key, spec):
        return media
    if key in SEEDS:
        return ParameterKind.SEED
    if isinstance(value, bool):
        return ParameterKind.BOOLEAN
    if isinstance(value, int | float):
        is_integer = spec.type == "INT" if spec else isinstance(value, int)
        return ParameterKind.INTEGER if is_integer else ParameterKind.NUMBER
    options = spec.options or () if spec and not spec.folders else ()
    all_strings = all(isinstance(option, str) for option in options)
    return ParameterKind.CHOICE if all_strings and value in options else ParameterKind.STRING


def _media(node: Node, key: str, spec: InputSpec | None) -> ParameterKind | None:
    """Return the media type of a file input, or None if the input is no file."""
    if not isinstance(node["inputs"].get(key), str):
        return None
    if spec is None:
        return ParameterKind.IMAGE if (node["class_type"], key) == ("LoadImage", "image") else None
    marked = next((kind for mark, kind in MEDIA.items() if spec.config[1].get(mark)), None)
    return marked or (ParameterKind.IMAGE if "input" in spec.folders else None)


def _sources(prompt: Prompt, name: str, other: str) -> frozenset[str]:
    """Return all nodes that inputs called `name` depend on.

    The search stops at a node that also has an input called `other`, because it passes on both conditionings.
    """
    waiting = [source for node in prompt.values() for key, source, _ in links(node) if key == name]
    source_ids: set[str] = set()
    while waiting:
        node_id = waiting.pop()
        if node_id in prompt and node_id not in source_ids:
            source_ids.add(node_id)
            next_sources = {key: source for key, source, _ in links(prompt[node_id])}
            waiting += [] if other in next_sources else next_sources.values()
    return frozenset(source_ids)


def _unused(prompt: Prompt) -> list[str]:
    """Return the nodes that no other node is linked to."""
    used = {source for node in prompt.values() for _, source, _ in links(node)}
    return [node_id for node_id in prompt if node_id not in used]


def _safe_name(name: str) -> str:
    """Return a valid name of a parameter."""
    safe = re.sub(r"\W+", "_", name.strip().lower()).strip("_")
    return safe if safe[:1].isalpha() else f"value_{safe}"


def _head(name: str, search: _ParameterSearch) -> str:
    lines = [f"title = {_text(name)}", 'about = "What this template is for."', f"outputs = {_text(search.outputs())}"]
    packs = search.packs()
    return "\n".join([*lines, *([f"packs = {_text(packs)}"] if packs else []), ""])


def _parameter(proposed: ProposedParameter, prompt: Prompt) -> str:
    """Return the TOML table of a parameter."""
    lines = [f"[parameters.{proposed.name}]", f"type = {_text(proposed.kind.value)}"]
    if proposed.about:
        lines.append(f"description = {_text(proposed.about)}")
    if proposed.kind is ParameterKind.CHOICE and proposed.spec:
        lines.append(f"choices = {_text(list(proposed.spec.options or ()))}")
    if proposed.kind in {ParameterKind.INTEGER, ParameterKind.NUMBER} and proposed.spec:
        lines += _range(proposed)
    if proposed.kind.is_file:
        lines.append("required = true")
    targets = [f"{node_id}.{key}" for node_id, key in proposed.targets]
    titles = ", ".join(title(prompt, node_id) for node_id, _ in proposed.targets)
    return "\n".join([*lines, f"sets = {_text(targets)}  # {_one_line(titles)}", ""])


def _range(proposed: ProposedParameter) -> Iterator[str]:
    """Yield the TOML lines for the limits of a number. A limit that the value itself violates is omitted."""
    spec, value = proposed.spec, proposed.value
    if spec is None or not isinstance(value, int | float):
        return
    if spec.min is not None and value >= spec.min:
        yield f"minimum = {spec.min:.16g}"
    if spec.max is not None and value <= spec.max <= SEED_MAX:
        yield f"maximum = {spec.max:.16g}"
    if proposed.kind is ParameterKind.INTEGER and spec.step and spec.step > 1 and value % spec.step == 0:
        yield f"multiple_of = {spec.step:g}"


def _models(prompt: Prompt, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield (folder, file) of each model file that the workflow names, without repetitions."""
    yielded: set[tuple[str, str]] = set()
    for node in prompt.values():
        node_class = catalog.get(node["class_type"])
        for key, spec in expand(node_class, node["inputs"]).items() if node_class else ():
            value, folder = node["inputs"].get(key), next(iter(spec.folders), "input")
            if not isinstance(value, str) or folder in STANDARD or value in (spec.options or ()):
                continue
            if (folder, value) not in yielded:
                yielded.add((folder, value))
                yield folder, value


def _model(model: ModelFile) -> str:
    """Return the TOML table of a model file."""
    lines = ["[[models]]", f"file = {_text(model.file)}", f"folder = {_text(model.folder)}"]
    lines.append(f"url = {_text(model.url)}" if model.url else '# url = "https://..."')
    lines += [f"size = {model.size}"] if model.size else []
    lines += [f"sha256 = {_text(model.sha256)}"] if model.sha256 else []
    lines += ["gated = true"] if model.gated else []
    return "\n".join([*lines, ""])


def _text(value: Json | list[str]) -> str:
    """Return a string or a list in TOML, which is the same as in JSON, except that TOML requires DEL to be escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:80]
