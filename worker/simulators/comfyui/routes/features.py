"""Routes for the server's abilities and its machine: GET /features and GET /system_stats."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping

from aiohttp import web

from worker import __version__
from worker.simulators.comfyui import COMFYUI_VERSION, STRICT_OPTION
from worker.simulators.comfyui.engine import ENGINE
from worker.simulators.comfyui.server.responses import fail_request, json_response
from worker.simulators.comfyui.timings import Timings

MAX_UPLOAD_BYTES = 100 * 1024 * 1024

FEATURES: Mapping[str, object] = {
    "supports_preview_metadata": True,
    "supports_model_type_tags": True,
    "max_upload_size": MAX_UPLOAD_BYTES,
    "extension": {"manager": {"supports_v4": True}},
    "node_replacements": True,
    "assets": False,
}

NO_GPU = "embedded engine (no GPU)"


def routes() -> list[web.RouteDef]:
    return [web.get("/features", features), web.get("/system_stats", system_stats)]


async def features(request: web.Request) -> web.Response:
    """Return the feature flags of the server."""
    return json_response(FEATURES)


async def system_stats(request: web.Request) -> web.Response:
    """Return the machine's data. The device's name and `deploy_environment` show that this is not a real ComfyUI."""
    settings = request.app[ENGINE].settings
    if request.app[ENGINE].fault_injector.gpu_is_broken:
        fail_request("injected fault: the GPU is broken")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    strict = [STRICT_OPTION] if settings.strict_files else []
    system = {
        "os": sys.platform,
        "ram_total": total,
        "ram_free": free,
        "comfyui_version": COMFYUI_VERSION,
        "required_frontend_version": "1.49.6",
        "installed_templates_version": "0.11.44",
        "required_templates_version": "0.11.44",
        "comfy_package_versions": [],
        "python_version": f"{platform.python_version()} (embedded)",
        "pytorch_version": "none",
        "embedded_python": False,
        "deploy_environment": "embedded",
        "argv": ["comfy-worker", "engine", __version__, *strict],
    }
    memory = {"vram_total": total, "vram_free": free, "torch_vram_total": total, "torch_vram_free": free}
    device = {"name": _device_name(settings.timings), "type": "cpu", "index": None, **memory}
    return json_response({"system": system, "devices": [device]})


def _device_name(timings: Timings | None) -> str:
    """Return the name of the device. It names the engine, so that no client takes it for a GPU."""
    return f"{timings.device} (embedded engine)" if timings and timings.device else NO_GPU
