"""What can be run and with which files: node classes, models, replacements."""

from __future__ import annotations

from aiohttp import web

from worker.comfyui.embedded.answers import empty, json_answer
from worker.comfyui.embedded.engine import ENGINE, Engine
from worker.graph.catalog import Catalog
from worker.graph.replacements import REPLACEMENTS, Replacement

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
    return json_answer(_catalog(request.app[ENGINE]).to_object_info())


async def object_info_of(request: web.Request) -> web.Response:
    """One class; `{}` for an unknown one."""
    name = request.match_info["class_type"]
    catalog = _catalog(request.app[ENGINE])
    return json_answer({name: catalog.object_info(name)} if name in catalog else {})


async def node_replacements(request: web.Request) -> web.Response:
    """Old classes and what they are rewritten to, by the old name."""
    return json_answer({name: [_replacement(name, new)] for name, new in REPLACEMENTS.items()})


async def models(request: web.Request) -> web.Response:
    return json_answer(MODEL_FOLDERS)


async def models_in(request: web.Request) -> web.Response:
    folder = request.match_info["folder"]
    if folder not in MODEL_FOLDERS:
        return empty(404)
    return json_answer(list(request.app[ENGINE].settings.models.get(folder, ())))


async def embeddings(request: web.Request) -> web.Response:
    """Names without their extension."""
    names = request.app[ENGINE].settings.models.get("embeddings", ())
    return json_answer([name.rsplit(".", 1)[0] for name in names])


async def experiment_models(request: web.Request) -> web.Response:
    """The same folders as objects; there are no real folders behind them."""
    return json_answer([{"name": folder, "folders": [], "extensions": []} for folder in MODEL_FOLDERS])


async def view_metadata(request: web.Request) -> web.Response:
    """There are no real model files, so none has metadata."""
    return empty(404)


def _replacement(name: str, replacement: Replacement) -> dict[str, object]:
    carried = [{"new_id": new, "old_id": old} for new, old in replacement.carried]
    fixed = [{"new_id": new, "set_value": value} for new, value in replacement.fixed]
    slots = [{"new_idx": 0, "old_idx": 0}] if name == "ResizeImagesByLongerEdge" else None
    return {
        "new_node_id": replacement.new_class,
        "old_node_id": name,
        "old_widget_ids": _OLD_WIDGETS.get(name),
        "input_mapping": [*carried, *fixed] or None,
        "output_mapping": slots,
    }


def _catalog(engine: Engine) -> Catalog:
    """The catalog with the files of this moment."""
    uploads = sorted(path.name for path in engine.folders.path("input").iterdir() if path.is_file())
    return engine.catalog.with_files({**engine.settings.models, "input": uploads})
