"""The engine: there, of a version that is known to work, and with the node packs that workflows need."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import aiohttp

from worker.check_finding import CheckFinding, fail, ok, warn
from worker.engine.process.failed_packs import REPAIR, FailedPack, read_failed_packs
from worker.engine.process.folders import EMBEDDED
from worker.engine.process.launch import comfyui_command
from worker.engine.protocol.api import ComfyApi
from worker.errors import EngineUnavailable, StartupError
from worker.settings import Settings

SEEN_WORKING = "0.33.0"
PACKS = {"RES4LYF": "ClownsharKSampler_Beta", "ControlAltAI-Nodes": "FluxResolutionNode"}
"""Node pack -> a node class that only it has."""
VERSION = re.compile(r"__version__\s*=\s*[\"']([^\"']+)")


async def engine(settings: Settings) -> list[CheckFinding]:
    if settings.engine.comfyui == EMBEDDED:
        return [ok("comfyui", "the embedded engine: image nodes are real, sampling is simulated and marked as such")]
    if settings.engine.comfyui.startswith(("http://", "https://")):
        return await _running(settings.engine.comfyui)
    failed = failed_packs(settings.state)
    names = {finding.name for finding in failed}
    return [*(row for row in _folder(Path(settings.engine.comfyui)) if row.name not in names), *failed]


async def _running(url: str) -> list[CheckFinding]:
    async with aiohttp.ClientSession() as session:
        api = ComfyApi(session, url)
        try:
            info = await api.info()
            classes = await api.catalog()
        except (EngineUnavailable, KeyError, TypeError) as error:
            why = str(error) if isinstance(error, EngineUnavailable) else "what answers there is no ComfyUI"
            return [fail("comfyui", f"{url}: {why}", "start ComfyUI there, or set WORKER_COMFYUI")]
    says = f"{url}: ComfyUI {info.version}, {info.device}, {len(classes)} node classes"
    unknown = ok("node packs", "only this ComfyUI's own log says whether one failed to import: no worker starts it")
    return [version(info.version, says), *packs(classes), unknown]


def _folder(folder: Path) -> list[CheckFinding]:
    try:
        python, *_ = comfyui_command(folder, port=0)
    except StartupError as error:
        return [fail("comfyui", str(error), "set WORKER_COMFYUI to `embedded`, a URL, or the folder of main.py")]
    says = f"{folder}, started with {python}"
    try:
        found = VERSION.search((folder / "comfyui_version.py").read_text())
    except OSError:
        found = None
    if found is None:
        return [warn("comfyui", f"{says}, of unknown version", f"use ComfyUI {SEEN_WORKING}, which is seen to work")]
    return [version(found[1], f"{says}, ComfyUI {found[1]}"), *_pack_folders(folder / "custom_nodes")]


def version(found: str, says: str) -> CheckFinding:
    """An older ComfyUI imports RES4LYF and then refuses each of its samplers: that it starts proves nothing."""
    if _numbers(found) < _numbers(SEEN_WORKING):
        return warn("comfyui", says, f"use ComfyUI {SEEN_WORKING} or newer: older ones refuse RES4LYF's samplers")
    return ok("comfyui", says)


def packs(classes: Collection[str]) -> list[CheckFinding]:
    """By what they register: a pack whose import fails is there as a folder, and still missing."""
    return [
        ok(pack, f"{name} is there") if name in classes else _missing(pack, f"no node class {name}")
        for pack, name in PACKS.items()
    ]


def _pack_folders(folder: Path) -> list[CheckFinding]:
    return [
        ok(pack, str(folder / pack)) if (folder / pack).is_dir() else _missing(pack, f"not in {folder}")
        for pack in PACKS
    ]


def failed_packs(state: Path) -> list[CheckFinding]:
    """What the engines that the worker started with this state folder could not import, the last time."""
    logs = sorted(state.glob("engine*.log"))
    failed = {pack.name: pack for path in logs for pack in read_failed_packs(path)}
    return [warn(pack.name, f"at the last start of ComfyUI {pack}", _cure(pack, state)) for pack in failed.values()]


def _cure(pack: FailedPack, state: Path) -> str:
    return pack.cure if pack.cure != REPAIR else f"repair the pack; the traceback is in {state}"


def _missing(pack: str, says: str) -> CheckFinding:
    return warn(pack, says, "install it into custom_nodes; ComfyUI's log says why an import failed")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
