"""ComfyUI's validation errors, told so that the author of a workflow can act on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.graph.catalog import Catalog
from worker.graph.dynamic import expand
from worker.graph.nearest import did_you_mean, nearest
from worker.graph.node_class import InputSpec, Presence, read_input
from worker.graph.prompt import Prompt, title

MOST_SUGGESTIONS = 50  # looking for a near name takes milliseconds in a long list, and a workflow can be all wrong


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and what would probably be right."""

    node_id: str | None
    node_title: str | None
    class_type: str | None
    input: str | None
    message: str
    suggestion: str | None
    comfyui_type: str


@dataclass(frozen=True, slots=True)
class _Complaint:
    """One entry of ComfyUI's errors; fields that are missing or of another type are empty."""

    kind: str
    message: str
    details: str
    extra: Mapping[str, object]

    @property
    def input_name(self) -> str | None:
        name = self.extra.get("input_name")
        return name if isinstance(name, str) else None

    @property
    def text(self) -> str:
        return f"{self.message}: {self.details}" if self.details else self.message or self.kind


def explain(
    error: Mapping[str, object] | None,
    node_errors: Mapping[str, object],
    prompt: Prompt,
    catalog: Catalog | None = None,
) -> tuple[Problem, ...]:
    """Turn the JSON of a refusal (`error`, `node_errors`; also of a 200 with node errors) into problems.

    Reads foreign JSON leniently: what is missing or of another shape is left out, nothing is raised. There is at
    least one problem if `error` is given.
    """
    problems: list[Problem] = []
    for node_id, complaint in _complaints(node_errors):
        with_suggestion = len(problems) < MOST_SUGGESTIONS
        suggestion = _suggest(complaint, node_id, prompt, catalog) if with_suggestion else None
        problems.append(_problem(complaint, node_id, prompt, suggestion))
    if not problems and error is not None:
        problems.append(_explain_whole(_complaint(error), prompt, catalog))
    return tuple(problems)


def _complaints(node_errors: Mapping[str, object]) -> Iterator[tuple[str, _Complaint]]:
    for node_id, entry in node_errors.items():
        errors = entry.get("errors") if isinstance(entry, dict) else None
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, dict):
                yield node_id, _complaint(error)


def _complaint(error: Mapping[str, object]) -> _Complaint:
    extra = error.get("extra_info")
    kind, message, details = (
        value if isinstance(value := error.get(key), str) else "" for key in ("type", "message", "details")
    )
    return _Complaint(kind, message, details, extra if isinstance(extra, dict) else {})


def _problem(complaint: _Complaint, node_id: str, prompt: Prompt, suggestion: str | None) -> Problem:
    node = prompt.get(node_id)
    return Problem(
        node_id=node_id,
        node_title=title(prompt, node_id) if node else None,
        class_type=node["class_type"] if node else None,
        input=complaint.input_name,
        message=complaint.text,
        suggestion=suggestion,
        comfyui_type=complaint.kind,
    )


def _explain_whole(complaint: _Complaint, prompt: Prompt, catalog: Catalog | None) -> Problem:
    """Explain an error that is told for the prompt, not for a node, though it may name one."""
    node_id, class_type = complaint.extra.get("node_id"), complaint.extra.get("class_type")
    suggestion = None
    if isinstance(class_type, str) and catalog is not None:
        suggestion = did_you_mean(class_type, catalog)
    if complaint.kind == "prompt_no_outputs":
        suggestion = "Add a node that saves or previews something, such as SaveImage."
    if isinstance(node_id, str):
        return _problem(complaint, node_id, prompt, suggestion)
    return Problem(None, None, None, complaint.input_name, complaint.text, suggestion, complaint.kind)


def _suggest(complaint: _Complaint, node_id: str, prompt: Prompt, catalog: Catalog | None) -> str | None:
    match complaint.kind:
        case "value_not_in_list" | "custom_validation_failed":
            return _nearest_choice(complaint, node_id, prompt, catalog)
        case "value_smaller_than_min" | "value_bigger_than_max":
            return _range(complaint)
        case "required_input_missing":
            return _missing(complaint, node_id, prompt, catalog)
        case "exception_during_validation" | "exception_during_inner_validation":
            return _lost_link(node_id, prompt)
    return None


def _nearest_choice(complaint: _Complaint, node_id: str, prompt: Prompt, catalog: Catalog | None) -> str | None:
    """Look among the choices that ComfyUI sent with the error; above 20 it sends none, and the catalog has them."""
    node, name = prompt.get(node_id), complaint.input_name
    if node is None or name is None:
        return None
    value = complaint.extra.get("received_value", node["inputs"].get(name))
    config = complaint.extra.get("input_config")
    if isinstance(config, list):
        spec = read_input(name, Presence.REQUIRED, config)
    else:
        spec = _spec(node_id, name, prompt, catalog)
    if spec is None or not spec.options or not isinstance(value, str):
        return None
    return did_you_mean(value, (option for option in spec.options if isinstance(option, str)))


def _range(complaint: _Complaint) -> str | None:
    match complaint.extra.get("input_config"):
        case [_, {"min": low, "max": high}]:
            return f"Use a value from {low} to {high}."
    return None


def _missing(complaint: _Complaint, node_id: str, prompt: Prompt, catalog: Catalog | None) -> str | None:
    """A name that the class does not know is probably the missing one, misspelt."""
    spec = _spec(node_id, complaint.input_name, prompt, catalog)
    if spec is None or catalog is None:
        return None
    node = prompt[node_id]
    strange = [name for name in node["inputs"] if name not in expand(catalog[node["class_type"]], node["inputs"])]
    if misspelt := nearest(spec.name, strange):
        return f"Is {misspelt!r} meant to be it?"
    return f"Its default is {spec.default!r}." if spec.default is not None else f"Link an output of type {spec.type}."


def _lost_link(node_id: str, prompt: Prompt) -> str | None:
    node = prompt.get(node_id)
    for name, value in node["inputs"].items() if node else ():
        match value:
            case [str(source) | int(source), _] if source not in prompt:
                if str(source) in prompt:
                    return f"Write the node id in the link of {name!r} as text: {str(source)!r}."
                return f"Link {name!r} to a node that is there: {source!r} is not."
    return None


def _spec(node_id: str, name: str | None, prompt: Prompt, catalog: Catalog | None) -> InputSpec | None:
    node = prompt.get(node_id)
    if catalog is None or node is None or name is None or node["class_type"] not in catalog:
        return None
    return expand(catalog[node["class_type"]], node["inputs"]).get(name)
