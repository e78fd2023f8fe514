"""Predicts the response of ComfyUI's `POST /prompt`, without a ComfyUI."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.replacements import OLD_CLASSES, ReplacementError, replace_classes
from worker.workflow.json_value import Json, JsonObject
from worker.workflow.prompt import Node, Prompt
from worker.workflow.validation.file_check import FileCheck
from worker.workflow.validation.inspection import Inspection
from worker.workflow.validation.packs.prompt_hooks import run_hooks


@dataclass(frozen=True, slots=True)
class Verdict:
    """The response of ComfyUI 0.33.0 to `POST /prompt`.

    `status` is 200, 400, or 500 if the server fails with an exception (`error` is None then). `error` and `node_errors`
    have ComfyUI's format. `node_errors` may have entries at status 200, if only some outputs are valid. `outputs` are
    the output nodes to run, in the order of the prompt. `prompt` has replaced classes and converted values. It is empty
    at status 500.
    """

    status: int
    error: JsonObject | None
    node_errors: JsonObject
    outputs: tuple[str, ...]
    prompt: Prompt

    @property
    def accepted(self) -> bool:
        return self.status == 200


class _ComfyUIFailure(Exception):
    """The real server would fail with an exception for this value."""


def validate(
    prompt: object,
    catalog: Catalog,
    files: FileCheck | None = None,
    partial_targets: object = None,
) -> Verdict:
    """Return the response of `POST /prompt` to a body with this `prompt`, which is not changed.

    With `files`, a file input also accepts a file that exists, and the validators of loaders check their files. Without
    it, a file input only accepts what the catalog lists, and the files of loaders are assumed to exist.
    `partial_targets` is the value of `partial_execution_targets` in the body. Errors and outputs are in the order of
    the prompt, while their order in ComfyUI is random. Tracebacks are empty.
    """
    try:
        nodes = _copy(prompt)
        run_hooks(nodes, catalog)
        if any(node.get("class_type") in OLD_CLASSES for node in nodes.values()):
            replace_classes(nodes, catalog)
        error = _missing_class(nodes, catalog)
        targets = () if error else _targets(nodes, catalog, partial_targets)
    except (_ComfyUIFailure, ReplacementError):
        return Verdict(500, None, {}, (), {})
    if error is None and not targets:
        error = _error("prompt_no_outputs", "Prompt has no outputs")
    if error:
        return Verdict(400, error, {}, (), nodes)
    return _inspect(nodes, targets, Inspection(nodes, catalog, files))


def _inspect(nodes: Prompt, targets: Collection[str], inspection: Inspection) -> Verdict:
    """Return the verdict after a check of each target."""
    valid_targets: list[str] = []
    details: list[str] = []
    node_errors: dict[str, JsonObject] = {}
    for target in targets:
        finding = inspection.inspect(target)
        if finding.valid:
            valid_targets.append(target)
            continue
        details += [f"{reason['message']}: {reason['details']}" for reason in finding.reasons]
        for node_id, reasons in inspection.invalid():
            entry = node_errors.setdefault(
                node_id,
                {"errors": list(reasons), "dependent_outputs": [], "class_type": nodes[node_id]["class_type"]},
            )
            cast(list[Json], entry["dependent_outputs"]).append(target)
    if valid_targets:
        return Verdict(200, None, {**node_errors}, tuple(valid_targets), nodes)
    error = _error("prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(details))
    return Verdict(400, error, {**node_errors}, (), nodes)


def _copy(prompt: object) -> Prompt:
    """Copy the parts of a prompt that validation changes. Nodes without `class_type` or `inputs` are kept.

    Raises _ComfyUIFailure for a value on which the server fails.
    """
    if not isinstance(prompt, dict):
        raise _ComfyUIFailure
    nodes: Prompt = {}
    for node_id, node in prompt.items():
        if not isinstance(node, dict):
            raise _ComfyUIFailure
        copy = dict(node)
        if "inputs" in copy:
            if "class_type" in copy and not isinstance(copy["inputs"], dict):
                raise _ComfyUIFailure
            copy["inputs"] = dict(copy["inputs"]) if isinstance(copy["inputs"], dict) else copy["inputs"]
        nodes[str(node_id)] = cast(Node, copy)
    return nodes


def _missing_class(nodes: Prompt, catalog: Catalog) -> JsonObject | None:
    """Return the error for the first node without a known class, or None."""
    for node_id, node in nodes.items():
        class_type: object = node.get("class_type")
        if isinstance(class_type, list | dict):
            raise _ComfyUIFailure
        if "class_type" in node and class_type in catalog:
            continue
        meta: object = node.get("_meta", {})
        if not isinstance(meta, dict):
            raise _ComfyUIFailure
        if "class_type" in node:
            title = meta.get("title", class_type)
            message = f"Node '{title}' not found. The custom node may not be installed."
        else:
            title = meta.get("title")
            message = (
                f"Node '{title or f'ID #{node_id}'}' has no class_type."
                " The workflow may be corrupted or a custom node is missing."
            )
        extra: JsonObject = {"node_id": node_id, "class_type": cast(Json, class_type), "node_title": title}
        return _error("missing_node_type", message, f"Node ID '#{node_id}'", extra)
    return None


def _targets(nodes: Prompt, catalog: Catalog, partial: object) -> list[str]:
    """Return the output nodes to run: all of them, or those in `partial_execution_targets`."""
    outputs = [node_id for node_id, node in nodes.items() if catalog[node["class_type"]].output_node]
    if partial is None:
        return outputs
    if isinstance(partial, str | list | dict):  # `in` also searches a string, as in the server
        return [node_id for node_id in outputs if node_id in partial]
    if outputs:
        raise _ComfyUIFailure
    return outputs


def _error(kind: str, message: str, details: str = "", extra: JsonObject | None = None) -> JsonObject:
    return {"type": kind, "message": message, "details": details, "extra_info": extra or {}}
