"""Routes for node classes, models and node replacements."""

from __future__ import annotations

from aiohttp import web

from worker.simulators.comfyui.engine import ENGINE, EmbeddedEngine, engine_files
from worker.simulators.comfyui.server.mime import mime_of
from worker.simulators.comfyui.server.responses import empty_response, json_response
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.replacements import REPLACEMENTS, NodeReplacement

MODEL_FOLDERS = (
    "checkpoints",
    "configs",
    "loras",
    "vae",
    "text_encoders",
    "diffusion_models",
    "clip_vision",
    "style_models",
    "embeddings",
    "diffusers",
    "vae_approx",
    "controlnet",
    "gligen",
    "upscale_models",
    "latent_upscale_models",
    "custom_nodes",
    "datasets",
    "hypernetworks",
    "photomaker",
    "classifiers",
    "model_patches",
    "audio_encoders",
    "background_removal",
    "frame_interpolation",
    "geometry_estimation",
    "optical_flow",
    "detection",
    "ipadapter",
    "instantid",
    "VHS_video_formats",
    "seedvr2",
)

_OTHER_UPLOADS = {
    "LoadAudio": ("audio", "video"),
    "LoadVideo": ("video",),
    "VHS_LoadVideo": ("video",),
    "VHS_LoadVideoFFmpeg": ("video",),
}
"""Kinds of uploaded files that a loader lists. All other classes list images."""

_FOLDER_LOADERS = (
    "LoadImageDataSetFromFolder",
    "LoadImageTextDataSetFromFolder",
    "LoadVideoDataSetFromFolder",
    "LoadVideoTextDataSetFromFolder",
    "VHS_LoadImages",
)
"""Classes that list the folders in the input folder."""

_OLD_WIDGETS = {"ImageScaleBy": ["upscale_method", "scale_by"], "ResizeImagesByLongerEdge": ["longer_edge"]}


def routes() -> list[web.RouteDef]:
    return [
        web.get("/object_info", object_info),
        web.get("/object_info/{class_type}", object_info_of),
        web.get("/node_replacements", node_replacements),
        web.get("/models", models),
        web.get("/models/{folder}", models_in),
        web.get("/embeddings", embeddings),
        web.get("/experiment/models", experiment_models),
        web.get("/view_metadata/{folder}", view_metadata),
    ]


async def object_info(request: web.Request) -> web.Response:
    """Return all node classes, with the current files as options of their loaders."""
    engine = request.app[ENGINE]
    classes: dict[str, object] = {**_catalog(engine, ("image",)).to_object_info()}
    for name, kinds in _OTHER_UPLOADS.items():
        if name in classes:
            classes[name] = _catalog(engine, kinds).object_info(name)
    with_folders = _with_folders(engine)
    classes.update((name, with_folders.object_info(name)) for name in _FOLDER_LOADERS if name in classes)
    return json_response(classes)


async def object_info_of(request: web.Request) -> web.Response:
    """Return one node class, or `{}` for an unknown one."""
    name = request.match_info["class_type"]
    engine = request.app[ENGINE]
    if name in _FOLDER_LOADERS:
        catalog = _with_folders(engine)
    else:
        catalog = _catalog(engine, _OTHER_UPLOADS.get(name, ("image",)))
    return json_response({name: catalog.object_info(name)} if name in catalog else {})


async def node_replacements(request: web.Request) -> web.Response:
    """Return the replacements of old classes, by the old name."""
    return json_response({name: [_replacement(name, new)] for name, new in REPLACEMENTS.items()})


async def models(request: web.Request) -> web.Response:
    """Return the names of the model folders."""
    return json_response(MODEL_FOLDERS)


async def models_in(request: web.Request) -> web.Response:
    """Return the files of one model folder, or 404 for an unknown folder."""
    folder = request.match_info["folder"]
    if folder not in MODEL_FOLDERS:
        return empty_response(404)
    return json_response(engine_files(request.app[ENGINE]).models(folder))


async def embeddings(request: web.Request) -> web.Response:
    """Return the names of the embeddings without their extension."""
    names = engine_files(request.app[ENGINE]).models("embeddings")
    return json_response([name.rsplit(".", 1)[0] for name in names])


async def experiment_models(request: web.Request) -> web.Response:
    """Return the model folders as objects, without paths."""
    return json_response([{"name": folder, "folders": [], "extensions": []} for folder in MODEL_FOLDERS])


async def view_metadata(request: web.Request) -> web.Response:
    """Return 404: no model has metadata, because models are names without files."""
    return empty_response(404)


def _replacement(old_class: str, replacement: NodeReplacement) -> dict[str, object]:
    """Return a replacement in the form of `GET /node_replacements`."""
    mapping: list[dict[str, object]] = [{"new_id": new, "old_id": old} for new, old in replacement.carried]
    for new, value in replacement.fixed:
        # A combo comes before the inputs that depend on it (`resize_type` before `resize_type.multiplier`).
        dependent = [index for index, (name, _) in enumerate(replacement.carried) if name.startswith(f"{new}.")]
        mapping.insert(min(dependent, default=len(mapping)), {"new_id": new, "set_value": value})
    # ComfyUI lists the output slots of this class only.
    output_slots = [{"new_idx": 0, "old_idx": 0}] if old_class == "ResizeImagesByLongerEdge" else None
    return {
        "new_node_id": replacement.new_class,
        "old_node_id": old_class,
        "old_widget_ids": _OLD_WIDGETS.get(old_class),
        "input_mapping": mapping or None,
        "output_mapping": output_slots,
    }


def _catalog(engine: EmbeddedEngine, kinds: tuple[str, ...]) -> Catalog:
    """Return the catalog with the current model files, and with the uploaded files of the given kinds as options."""
    paths = (path for path in engine.folders.path("input").iterdir() if path.is_file())
    uploads = sorted(path.name for path in paths if mime_of(path).startswith(kinds))
    return engine.catalog.with_files({**engine_files(engine).all_models(), "input": uploads})


def _with_folders(engine: EmbeddedEngine) -> Catalog:
    """Return the catalog with the folders in the input folder as options."""
    folders = sorted(path.name for path in engine.folders.path("input").iterdir() if path.is_dir())
    return engine.catalog.with_files({"input": folders})
