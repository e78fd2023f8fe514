"""The errors that ComfyUI raises when it loads a damaged model file."""

from __future__ import annotations

from pathlib import Path

from worker.model_file import PICKLE, SAFETENSORS, TORCH, ZIP, damage, safetensors_fault
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError

UPLOADS = "input"


def check_model_files(call: NodeCall) -> None:
    """Raise NodeError when a model file that the node names is damaged. A missing file is accepted."""
    for spec in call.node_class.inputs:
        name = call.inputs.get(spec.name)
        names_a_model = bool(spec.folders) and UPLOADS not in spec.folders
        if not names_a_model or not isinstance(name, str):
            continue
        for folder in spec.folders:
            path = call.context.folders.models / folder / name
            error = _error(path) if path.is_file() else None
            if error is not None:
                raise error


def _error(path: Path) -> NodeError | None:
    """Return the error for a damaged safetensors or torch file. Return None for any other file."""
    suffix = path.suffix.lower()
    if suffix in SAFETENSORS:
        fault = safetensors_fault(path)
        message, name = f"Error while deserializing header: {fault}", "safetensors._safetensors_rust.SafetensorError"
        return NodeError(message, name) if fault else None
    if suffix not in TORCH or damage(path) is None:
        return None
    with path.open("rb") as file:
        head = file.read(len(ZIP))
    if not head:
        return NodeError("", "EOFError")
    if head == ZIP:
        message = "PytorchStreamReader failed reading zip archive: failed finding central directory"
        return NodeError(message, "RuntimeError")
    if not head.startswith(PICKLE):
        return NodeError(f"Weights only load failed: unsupported operand {head[0]}", "_pickle.UnpicklingError")
    return None
