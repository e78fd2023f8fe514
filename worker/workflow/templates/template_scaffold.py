"""A template proposed for any workflow: what a person would most likely want to set, from the graph and the catalog."""

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

ASKED = re.compile(r"input:\s*(?P<name>[\w -]+?)(?:\.(?P<input>[\w.]+))?\s*", re.ASCII)
"""A node whose title says that it is a parameter: `input:prompt`, or `input:size.width` for one of its inputs."""
RESULT = re.compile(r"output(:.*)?", re.ASCII)
MEDIA = {"image_upload": ParameterKind.IMAGE, "video_upload": ParameterKind.VIDEO, "audio_upload": ParameterKind.AUDIO}
SEEDS = ("seed", "noise_seed")
NUMBERS = {
    "width": "pixels",
    "height": "pixels",
    "length": "frames",
    "steps": "sampling steps",
    "cfg": "how closely the prompt is followed",
    "guidance": "how closely the prompt is followed",
    "denoise": "how much is drawn anew",
    "batch_size": "how many at once",
}
"""Inputs that a person sets, by name; those with one value are one parameter."""
TEXTS = ("text", "prompt", "positive_prompt", "clip_l", "t5xxl")
VALUES = ("value", *TEXTS, "image", "file", "video", "audio", *SEEDS, *NUMBERS)
"""What a node that is one parameter most likely means, in this order."""
SAVES = re.compile(r"save|combine|export", re.IGNORECASE)
STANDARD = frozenset({"input", "output", "temp"})


@dataclass(slots=True)
class ProposedParameter:
    """One parameter to be: `value` stands in each of the targets, `spec` is the first one's."""

    name: str
    kind: ParameterKind
    value: Json
    spec: InputSpec | None
    about: str = ""
    targets: list[tuple[str, str]] = field(default_factory=list)


def scaffold_template(name: str, prompt: Prompt, catalog: Catalog, known: Iterable[ModelFile] = ()) -> str:
    """The text of `NAME.toml`, which `read_template` takes as it is.

    Unknown classes are taken for what their inputs are called. `known` are model files of which more is known than
    folder and name.
    """
    search = _Search(prompt, catalog)
    more = {(model.folder, model.file): model for model in known}
    parts = [_head(name, search), *(_parameter(one, prompt) for one in search.parameters())]
    models = [more.get((folder, file), ModelFile(file, folder)) for folder, file in _models(prompt, catalog)]
    return "\n".join([*parts, *map(_model, models)])


class _Search:
    def __init__(self, prompt: Prompt, catalog: Catalog) -> None:
        self._prompt = prompt
        self._catalog = catalog
        self._negative = _behind(prompt, "negative", "positive") - _behind(prompt, "positive", "negative")

    def specs(self, node: Node) -> dict[str, InputSpec]:
        found = self._catalog.get(node["class_type"])
        return dict(expand(found, node["inputs"])) if found else {}

    def parameters(self) -> list[ProposedParameter]:
        """What titles ask for, and only where none does, what is usual."""
        found: list[ProposedParameter] = []
        for one in list(self._asked()) or self._usual():
            _join(found, one)
        return found

    def outputs(self) -> list[str]:
        titled = [node_id for node_id in self._prompt if RESULT.fullmatch(title(self._prompt, node_id))]
        known = {node_id: self._catalog.get(node["class_type"]) for node_id, node in self._prompt.items()}
        ends = [node_id for node_id, found in known.items() if found is not None and found.output_node]
        saves = [node_id for node_id in ends if SAVES.search(self._prompt[node_id]["class_type"])]
        return titled or saves or ends or _unused(self._prompt)

    def packs(self) -> list[str]:
        modules = {
            self._catalog[n["class_type"]].pack for n in self._prompt.values() if n["class_type"] in self._catalog
        }
        return sorted(one.removeprefix("custom_nodes.") for one in modules if one.startswith("custom_nodes."))

    def _asked(self) -> Iterator[ProposedParameter]:
        for node_id, node in self._prompt.items():
            asked = ASKED.fullmatch(title(self._prompt, node_id))
            literal = [key for key, value in node["inputs"].items() if not is_link(value)]
            wanted = asked["input"] if asked and asked["input"] else next((v for v in VALUES if v in literal), None)
            wanted = wanted if wanted in literal else next(iter(literal), None)
            if asked and wanted:
                yield self._proposed(_safe(asked["name"]), node_id, wanted)

    def _usual(self) -> Iterator[ProposedParameter]:
        for node_id, node in self._prompt.items():
            for key, value in node["inputs"].items():
                place = self._place(node_id, key, value)
                name = place and self._name(node_id, key, self._prompt[place[0]]["inputs"][place[1]])
                if place and name:
                    yield self._proposed(name, *place)

    def _place(self, node_id: str, key: str, value: Json) -> tuple[str, str] | None:
        """Where an input's value stands: there, or in the node that only holds it."""
        if not is_link(value):
            return node_id, key
        match value:
            case [str(source), int()] if source in self._prompt:
                holder = self._prompt[source]
                holds = holder["class_type"].startswith("Primitive") and "value" in holder["inputs"]
                return (source, "value") if holds and not is_link(holder["inputs"]["value"]) else None
        return None

    def _name(self, node_id: str, key: str, value: Json) -> str | None:
        """What a parameter of this input would be called; None for one that is better left alone."""
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
        node = self._prompt[node_id]
        spec = self.specs(node).get(key)
        value = node["inputs"][key]
        kind = ParameterKind.SEED if name == "seed" and isinstance(value, int) else _kind(node, key, value, spec)
        about = NUMBERS.get("batch_size" if name == "batch" else name, "")
        return ProposedParameter(name, kind, value, spec, about, [(node_id, key)])


def _join(found: list[ProposedParameter], one: ProposedParameter) -> None:
    """Seeds are one, and so are numbers of one name and value; anything else gets a name of its own."""
    for other in found:
        same = other.value == one.value and one.kind in {ParameterKind.INTEGER, ParameterKind.NUMBER}
        if one.targets[0] in other.targets:
            return  # held by a node that several others ask
        if other.name == one.name and (one.kind is ParameterKind.SEED or same):
            other.targets += one.targets
            return
    taken = {other.name for other in found}
    number = next(n for n in range(1, len(found) + 2) if (f"{one.name}{n}" if n > 1 else one.name) not in taken)
    one.name = f"{one.name}{number}" if number > 1 else one.name
    found.append(one)


def _kind(node: Node, key: str, value: Json, spec: InputSpec | None) -> ParameterKind:
    if media := _media(node, key, spec):
        return media
    if key in SEEDS:
        return ParameterKind.SEED
    if isinstance(value, bool):
        return ParameterKind.BOOLEAN
    if isinstance(value, int | float):
        whole = spec.type == "INT" if spec else isinstance(value, int)
        return ParameterKind.INTEGER if whole else ParameterKind.NUMBER
    options = spec.options or () if spec and not spec.folders else ()
    texts = all(isinstance(option, str) for option in options)
    return ParameterKind.CHOICE if texts and value in options else ParameterKind.STRING


def _media(node: Node, key: str, spec: InputSpec | None) -> ParameterKind | None:
    if not isinstance(node["inputs"].get(key), str):
        return None
    if spec is None:
        return ParameterKind.IMAGE if (node["class_type"], key) == ("LoadImage", "image") else None
    marked = next((kind for mark, kind in MEDIA.items() if spec.config[1].get(mark)), None)
    return marked or (ParameterKind.IMAGE if "input" in spec.folders else None)


def _behind(prompt: Prompt, name: str, other: str) -> frozenset[str]:
    """Every node that some input of this name needs, up to nodes that take `other` too: they have it from theirs."""
    waiting = [source for node in prompt.values() for key, source, _ in links(node) if key == name]
    found: set[str] = set()
    while waiting:
        node_id = waiting.pop()
        if node_id in prompt and node_id not in found:
            found.add(node_id)
            before = {key: source for key, source, _ in links(prompt[node_id])}
            waiting += [] if other in before else before.values()
    return frozenset(found)


def _unused(prompt: Prompt) -> list[str]:
    used = {source for node in prompt.values() for _, source, _ in links(node)}
    return [node_id for node_id in prompt if node_id not in used]


def _safe(name: str) -> str:
    made = re.sub(r"\W+", "_", name.strip().lower()).strip("_")
    return made if made[:1].isalpha() else f"value_{made}"


def _head(name: str, search: _Search) -> str:
    lines = [f"title = {_text(name)}", 'about = "What it is for."', f"outputs = {_text(search.outputs())}"]
    packs = search.packs()
    return "\n".join([*lines, *([f"packs = {_text(packs)}"] if packs else []), ""])


def _parameter(one: ProposedParameter, prompt: Prompt) -> str:
    lines = [f"[parameters.{one.name}]", f"type = {_text(one.kind.value)}"]
    if one.about:
        lines.append(f"description = {_text(one.about)}")
    if one.kind is ParameterKind.CHOICE and one.spec:
        lines.append(f"choices = {_text(list(one.spec.options or ()))}")
    if one.kind in {ParameterKind.INTEGER, ParameterKind.NUMBER} and one.spec:
        lines += _range(one)
    if one.kind.is_file:
        lines.append("required = true")
    targets = [f"{node_id}.{key}" for node_id, key in one.targets]
    titles = ", ".join(title(prompt, node_id) for node_id, _ in one.targets)
    return "\n".join([*lines, f"sets = {_text(targets)}  # {_one_line(titles)}", ""])


def _range(one: ProposedParameter) -> Iterator[str]:
    spec, value = one.spec, one.value
    if spec is None or not isinstance(value, int | float):
        return
    if spec.min is not None and value >= spec.min:
        yield f"minimum = {spec.min:.16g}"
    if spec.max is not None and value <= spec.max <= SEED_MAX:
        yield f"maximum = {spec.max:.16g}"
    if one.kind is ParameterKind.INTEGER and spec.step and spec.step > 1 and value % spec.step == 0:
        yield f"multiple_of = {spec.step:g}"


def _models(prompt: Prompt, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """(folder, file), each once."""
    told: set[tuple[str, str]] = set()
    for node in prompt.values():
        found = catalog.get(node["class_type"])
        for key, spec in expand(found, node["inputs"]).items() if found else ():
            value, folder = node["inputs"].get(key), next(iter(spec.folders), "input")
            fixed = value in (spec.options or ())
            if isinstance(value, str) and folder not in STANDARD and not fixed and (folder, value) not in told:
                told.add((folder, value))
                yield folder, value


def _model(model: ModelFile) -> str:
    lines = ["[[models]]", f"file = {_text(model.file)}", f"folder = {_text(model.folder)}"]
    lines.append(f"url = {_text(model.url)}" if model.url else '# url = "https://..."')
    lines += [f"size = {model.size}"] if model.size else []
    lines += [f"sha256 = {_text(model.sha256)}"] if model.sha256 else []
    lines += ["gated = true"] if model.gated else []
    return "\n".join([*lines, ""])


def _text(value: Json | list[str]) -> str:
    """TOML's strings and lists, as JSON writes them, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:80]
