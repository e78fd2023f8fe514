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
        """Whether ComfyUI would queue the prompt."""
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
        nodes = _changeable_copy(prompt)
        run_hooks(nodes, catalog)
        if any(node.get("class_type") in OLD_CLASSES for node in nodes.values()):
            replace_classes(nodes, catalog)
        error = _missing_class_error(nodes, catalog)
        targets = () if error else _output_targets(nodes, catalog, partial_targets)
    except (_ComfyUIFailure, ReplacementError):
        return Verdict(status=500, error=None, node_errors={}, outputs=(), prompt={})
    if error is None and not targets:
        error = _error("prompt_no_outputs", "Prompt has no outputs")
    if error:
        return Verdict(status=400, error=error, node_errors={}, outputs=(), prompt=nodes)
    return _verdict_on_targets(nodes, targets, Inspection(nodes, catalog, files))


def _verdict_on_targets(nodes: Prompt, targets: Collection[str], inspection: Inspection) -> Verdict:
    """Check each target, which is an output node, and return the verdict: accepted if at least one target is valid."""
    valid_targets: list[str] = []
    details: list[str] = []
    node_errors: dict[str, JsonObject] = {}
    for target in targets:
        finding = inspection.inspect(target)
        if finding.valid:
            valid_targets.append(target)
            continue
        details += [f"{reason['message']}: {reason['details']}" for reason in finding.reasons]
        # ComfyUI lists the output at every invalid node that was found so far, even if it does not depend on it.
        for node_id, reasons in inspection.invalid():
            entry = node_errors.setdefault(
                node_id,
                {"errors": list(reasons), "dependent_outputs": [], "class_type": nodes[node_id]["class_type"]},
            )
            cast(list[Json], entry["dependent_outputs"]).append(target)
    if valid_targets:
        outputs = tuple(valid_targets)
        return Verdict(status=200, error=None, node_errors={**node_errors}, outputs=outputs, prompt=nodes)
    error = _error("prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(details))
    return Verdict(status=400, error=error, node_errors={**node_errors}, outputs=(), prompt=nodes)


def _changeable_copy(prompt: object) -> Prompt:
    """Return a prompt whose nodes and inputs are copies, because validation changes them.

    Nodes without `class_type` or `inputs` are kept as they are. Raises _ComfyUIFailure for a value for which the real
    server fails with an exception.
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
            if isinstance(copy["inputs"], dict):
                copy["inputs"] = dict(copy["inputs"])
        nodes[str(node_id)] = cast(Node, copy)
    return nodes


def _missing_class_error(nodes: Prompt, catalog: Catalog) -> JsonObject | None:
    """Return ComfyUI's error for the first node without a known class, or None if each class is known.

    Raises _ComfyUIFailure for a value for which the real server fails with an exception.
    """
    for node_id, node in nodes.items():
        class_type: object = node.get("class_type")
        if isinstance(class_type, list | dict):  # the server looks it up in a dict, and it is not hashable
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


def _output_targets(nodes: Prompt, catalog: Catalog, partial: object) -> list[str]:
    """Return the ids of the output nodes to run: all of them, or those in `partial`.

    `partial` is `partial_execution_targets` of the request. Raises _ComfyUIFailure if it cannot be searched.
    """
    outputs = [node_id for node_id, node in nodes.items() if catalog[node["class_type"]].output_node]
    if partial is None:
        return outputs
    if isinstance(partial, str | list | dict):  # `in` also searches a string, as in the server
        return [node_id for node_id in outputs if node_id in partial]
    if outputs:
        raise _ComfyUIFailure
    return []  # the server searches `partial` only if there is an output


def _error(kind: str, message: str, details: str = "", extra: JsonObject | None = None) -> JsonObject:
    """Return an error in ComfyUI's format."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra or {}}
