"""What can be run and with which files: node classes, models, replacements."""

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
"""Which kinds of uploads a class lists; all others list pictures."""

_TAKE_FOLDERS = (
    "LoadImageDataSetFromFolder",
    "LoadImageTextDataSetFromFolder",
    "LoadVideoDataSetFromFolder",
    "LoadVideoTextDataSetFromFolder",
    "VHS_LoadImages",
)
"""Classes that list the folders of the input folder, whosever they are."""

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
    engine = request.app[ENGINE]
    listed: dict[str, object] = {**_catalog(engine, ("image",)).to_object_info()}
    for name, kinds in _OTHER_UPLOADS.items():
        if name in listed:
            listed[name] = _catalog(engine, kinds).object_info(name)
    with_folders = _with_folders(engine)
    listed.update((name, with_folders.object_info(name)) for name in _TAKE_FOLDERS if name in listed)
    return json_response(listed)


async def object_info_of(request: web.Request) -> web.Response:
    """One class; `{}` for an unknown one."""
    name = request.match_info["class_type"]
    engine = request.app[ENGINE]
    catalog = _with_folders(engine) if name in _TAKE_FOLDERS else _catalog(engine, _OTHER_UPLOADS.get(name, ("image",)))
    return json_response({name: catalog.object_info(name)} if name in catalog else {})


async def node_replacements(request: web.Request) -> web.Response:
    """Old classes and what they are rewritten to, by the old name."""
    return json_response({name: [_replacement(name, new)] for name, new in REPLACEMENTS.items()})


async def models(request: web.Request) -> web.Response:
    return json_response(MODEL_FOLDERS)


async def models_in(request: web.Request) -> web.Response:
    folder = request.match_info["folder"]
    if folder not in MODEL_FOLDERS:
        return empty_response(404)
    return json_response(engine_files(request.app[ENGINE]).models(folder))


async def embeddings(request: web.Request) -> web.Response:
    """Names without their extension."""
    names = engine_files(request.app[ENGINE]).models("embeddings")
    return json_response([name.rsplit(".", 1)[0] for name in names])


async def experiment_models(request: web.Request) -> web.Response:
    """The same folders as objects; there are no real folders behind them."""
    return json_response([{"name": folder, "folders": [], "extensions": []} for folder in MODEL_FOLDERS])


async def view_metadata(request: web.Request) -> web.Response:
    """There are no real model files, so none has metadata."""
    return empty_response(404)


def _replacement(old_class: str, replacement: NodeReplacement) -> dict[str, object]:
    mapping: list[dict[str, object]] = [{"new_id": new, "old_id": old} for new, old in replacement.carried]
    for new, value in replacement.fixed:
        # A choice stands before the inputs that it brings along (`resize_type` before `resize_type.multiplier`).
        parts = [at for at, (name, _) in enumerate(replacement.carried) if name.startswith(f"{new}.")]
        mapping.insert(min(parts, default=len(mapping)), {"new_id": new, "set_value": value})
    slots = [{"new_idx": 0, "old_idx": 0}] if old_class == "ResizeImagesByLongerEdge" else None
    return {
        "new_node_id": replacement.new_class,
        "old_node_id": old_class,
        "old_widget_ids": _OLD_WIDGETS.get(old_class),
        "input_mapping": mapping or None,
        "output_mapping": slots,
    }


def _catalog(engine: EmbeddedEngine, kinds: tuple[str, ...]) -> Catalog:
    """The catalog with the files of this moment; of the uploads only those of these kinds."""
    paths = (path for path in engine.folders.path("input").iterdir() if path.is_file())
    uploads = sorted(path.name for path in paths if mime_of(path).startswith(kinds))
    return engine.catalog.with_files({**engine_files(engine).all_models(), "input": uploads})


def _with_folders(engine: EmbeddedEngine) -> Catalog:
    folders = sorted(path.name for path in engine.folders.path("input").iterdir() if path.is_dir())
    return engine.catalog.with_files({"input": folders})
