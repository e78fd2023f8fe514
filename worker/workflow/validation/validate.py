"""What ComfyUI's `POST /prompt` would say to a prompt, decided without a ComfyUI."""

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
    """The answer to a submission, as ComfyUI 0.33.0 gives it.

    `status` is 200, 400, or 500 where the real server fails without saying why (`error` is None then). `error` and
    `node_errors` have ComfyUI's shape; `node_errors` may be filled at 200, when only some outputs are valid.
    `outputs` are the output nodes to run, in the prompt's order. `prompt` has replaced classes and coerced values;
    it is empty at 500.
    """

    status: int
    error: JsonObject | None
    node_errors: JsonObject
    outputs: tuple[str, ...]
    prompt: Prompt

    @property
    def accepted(self) -> bool:
        return self.status == 200


class _ServerFailure(Exception):
    """The value is so odd that the real server ends in an exception of its own."""


def validate(
    prompt: object,
    catalog: Catalog,
    files: FileCheck | None = None,
    partial_targets: object = None,
) -> Verdict:
    """Decide what `POST /prompt` answers for the value of its key `prompt`, which is not changed.

    With `files`, a choice of files also takes a name that exists, and the checks of loaders ask it; without, only
    what the catalog lists counts and the files of loaders are taken for present. `partial_targets` is the value of
    `partial_execution_targets`. Different from the server only in what it leaves to chance (the order of errors and
    of outputs is the prompt's here) and in tracebacks, which are empty.
    """
    try:
        nodes = _copy(prompt)
        run_hooks(nodes, catalog)
        if any(node.get("class_type") in OLD_CLASSES for node in nodes.values()):
            replace_classes(nodes, catalog)
        error = _missing_class(nodes, catalog)
        targets = () if error else _targets(nodes, catalog, partial_targets)
    except (_ServerFailure, ReplacementError):
        return Verdict(500, None, {}, (), {})
    if error is None and not targets:
        error = _error("prompt_no_outputs", "Prompt has no outputs")
    if error:
        return Verdict(400, error, {}, (), nodes)
    return _inspect(nodes, targets, Inspection(nodes, catalog, files))


def _inspect(nodes: Prompt, targets: Collection[str], inspection: Inspection) -> Verdict:
    good: list[str] = []
    told: list[str] = []
    node_errors: dict[str, JsonObject] = {}
    for target in targets:
        finding = inspection.inspect(target)
        if finding.valid:
            good.append(target)
            continue
        told += [f"{reason['message']}: {reason['details']}" for reason in finding.reasons]
        for node_id, reasons in inspection.invalid():
            entry = node_errors.setdefault(
                node_id,
                {"errors": list(reasons), "dependent_outputs": [], "class_type": nodes[node_id]["class_type"]},
            )
            cast(list[Json], entry["dependent_outputs"]).append(target)
    if good:
        return Verdict(200, None, {**node_errors}, tuple(good), nodes)
    error = _error("prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(told))
    return Verdict(400, error, {**node_errors}, (), nodes)


def _copy(prompt: object) -> Prompt:
    """Copy what validation changes. Nodes without `class_type` or `inputs` pass: they are told about later."""
    if not isinstance(prompt, dict):
        raise _ServerFailure
    nodes: Prompt = {}
    for node_id, node in prompt.items():
        if not isinstance(node, dict):
            raise _ServerFailure
        copy = dict(node)
        if "inputs" in copy:
            if "class_type" in copy and not isinstance(copy["inputs"], dict):
                raise _ServerFailure
            copy["inputs"] = dict(copy["inputs"]) if isinstance(copy["inputs"], dict) else copy["inputs"]
        nodes[str(node_id)] = cast(Node, copy)
    return nodes


def _missing_class(nodes: Prompt, catalog: Catalog) -> JsonObject | None:
    for node_id, node in nodes.items():
        class_type: object = node.get("class_type")
        if isinstance(class_type, list | dict):
            raise _ServerFailure
        if "class_type" in node and class_type in catalog:
            continue
        meta: object = node.get("_meta", {})
        if not isinstance(meta, dict):
            raise _ServerFailure
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
    outputs = [node_id for node_id, node in nodes.items() if catalog[node["class_type"]].output_node]
    if partial is None:
        return outputs
    if isinstance(partial, str | list | dict):  # a string is searched, as the server does
        return [node_id for node_id in outputs if node_id in partial]
    if outputs:
        raise _ServerFailure
    return outputs


def _error(kind: str, message: str, details: str = "", extra: JsonObject | None = None) -> JsonObject:
    return {"type": kind, "message": message, "details": details, "extra_info": extra or {}}
