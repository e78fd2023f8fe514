"""Nodes that save, preview and load 3D files. Most report a bare path instead of name, subfolder and type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from worker.simulators.comfyui.classes import coerce
from worker.simulators.comfyui.classes.values import File3D, OpaqueValue, Value, trace_of
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError, NodeFunction, NodeResult
from worker.simulators.comfyui.media.models import write_glb
from worker.simulators.comfyui.node_functions.saving import PREVIEW_COMPRESSION, file_comment, output_slots, save_png

_PREVIEWS = {
    "Preview3DAdvanced": "preview3d_advanced_",
    "PreviewGaussianSplat": "preview_splat_",
    "PreviewPointCloud": "preview_pointcloud_",
}
_FORMATS = ("gltf", "fbx", "obj", "stl", "usdz", "ply", "splat", "spz", "ksplat")
_ENDINGS = {**{name: name for name in _FORMATS}, "splat_any": "ply", "point_cloud_any": "ply"}


def save_glb(call: NodeCall) -> NodeResult:
    """Save a 3D file unchanged, or one triangle as a placeholder for a mesh."""
    value = call.inputs.get("mesh")
    if value is None:
        # The message of the exception that Python raises in ComfyUI.
        raise NodeError("'NoneType' object has no attribute 'vertices'", "AttributeError")
    model = _file_3d(value)
    path, saved = output_slots(call, call.text("filename_prefix", "3d/ComfyUI")).next(model.format)
    path.write_bytes(model.data)
    return NodeResult(ui={"3d": [saved.as_json()]})


def save_3d(call: NodeCall) -> NodeResult:
    """Save a 3D file, and report its path below output, the camera and the model information of the editor."""
    model = _file_3d(call.inputs.get("model_3d"))
    path, saved = output_slots(call, call.text("filename_prefix", "3d/ComfyUI")).next(model.format, tail="")
    path.write_bytes(model.data)
    return _viewport_result(call, model, f"{saved.subfolder}/{saved.filename}" if saved.subfolder else saved.filename)


def preview_3d_advanced(call: NodeCall) -> NodeResult:
    """Write a 3D file to temp, and report its bare name."""
    model = _file_3d(call.inputs.get("model_3d"))
    name = f"{_PREVIEWS[call.node_class.name]}{uuid4().hex}.{model.format}"
    (call.context.folders.path("temp") / name).write_bytes(model.data)
    return _viewport_result(call, model, name)


def preview_3d(call: NodeCall) -> NodeResult:
    """Preview a 3D file. A string is reported unchanged. A 3D file is written to output, as the real node does."""
    value = call.inputs.get("model_file")
    if isinstance(value, str):
        name = value
    else:
        model = _file_3d(value)
        name = f"preview3d_{uuid4().hex}.{model.format}"
        (call.context.folders.path("output") / name).write_bytes(model.data)
    return NodeResult(ui={"result": [name, call.inputs.get("camera_info"), _background(call)]})


def load_3d(call: NodeCall) -> NodeResult:
    """Load a 3D file from the input folder unchanged."""
    name, state = call.text("model_file"), _state(call)
    path = None if name in ("", "none") else call.context.folders.resolve(name)
    model = None if path is None else File3D(path.read_bytes(), path.suffix.removeprefix(".").lower() or "glb")
    sizes = call.integer("width"), call.integer("height")
    return NodeResult((model, state.get("model_3d_info", []), state.get("camera_info"), *sizes))


def _viewport_result(call: NodeCall, model: File3D, name: str) -> NodeResult:
    """Return the outputs of a node with a viewport. A missing camera or model information comes from its state."""
    state = _state(call)
    camera = call.inputs.get("camera_info")
    camera = state.get("camera_info") if camera is None else camera
    info = call.inputs.get("model_3d_info")
    info = state.get("model_3d_info", []) if info is None else info
    sizes = call.integer("width"), call.integer("height")
    return NodeResult((model, info, camera, *sizes), {"result": [name, camera, info]})


def _state(call: NodeCall) -> Mapping[str, Value]:
    """Return the state of the node's viewport, or an empty object."""
    state = call.inputs.get("viewport_state")
    return state if isinstance(state, dict) else {}


def _file_3d(value: Value) -> File3D:
    """Return a 3D file, or one triangle as a placeholder for any other value.

    The format follows from the type, such as `ply` for FILE_3D_PLY. It is `glb` when the type names none.
    """
    if isinstance(value, File3D):
        return value
    trace = trace_of(value)
    kind = value.type.removeprefix("FILE_3D_").lower() if isinstance(value, OpaqueValue) else ""
    return File3D(write_glb(file_comment(trace)), _ENDINGS.get(kind, "glb"), trace)


def _background(call: NodeCall) -> str | None:
    """Write the background image to temp and return its path, or None without one."""
    image = call.inputs.get("bg_image")
    if image is None:
        return None
    name = f"bg_{uuid4().hex}.png"
    temp: Path = call.context.folders.path("temp")
    save_png(coerce.images(image).frames[0], temp / name, None, PREVIEW_COMPRESSION)
    return f"temp/{name}"


NODES: Mapping[str, NodeFunction] = {
    "Load3DAdvanced": load_3d,
    "Preview3D": preview_3d,
    "Preview3DAdvanced": preview_3d_advanced,
    "PreviewGaussianSplat": preview_3d_advanced,
    "PreviewPointCloud": preview_3d_advanced,
    "Save3DAdvanced": save_3d,
    "SaveGLB": save_glb,
    "SaveGaussianSplat": save_3d,
    "SavePointCloud": save_3d,
}
