"""Checks of ComfyUI: that it exists, its version, and its node packs."""

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

TESTED_VERSION = "0.33.0"
"""The ComfyUI release with which the worker is tested."""
PACKS = {"RES4LYF": "ClownsharKSampler_Beta", "ControlAltAI-Nodes": "FluxResolutionNode"}
"""Node packs, each with a node class that only it has."""
VERSION = re.compile(r"__version__\s*=\s*[\"']([^\"']+)")


async def engine(settings: Settings) -> list[CheckFinding]:
    """Return the findings about the configured ComfyUI."""
    if settings.engine.comfyui == EMBEDDED:
        return [ok("comfyui", "the embedded engine: image nodes are real, sampling is simulated and marked as such")]
    if settings.engine.comfyui.startswith(("http://", "https://")):
        return await _running_comfyui(settings.engine.comfyui)
    failed = failed_packs(settings.state)
    failed_names = {finding.name for finding in failed}
    findings = _comfyui_folder(Path(settings.engine.comfyui))
    # The folder of a pack exists even if its import failed: the failure replaces that finding.
    return [*(finding for finding in findings if finding.name not in failed_names), *failed]


async def _running_comfyui(url: str) -> list[CheckFinding]:
    """Return the findings about the ComfyUI that responds at this URL: its version and its node packs."""
    async with aiohttp.ClientSession() as session:
        api = ComfyApi(session, url)
        try:
            info = await api.info()
            classes = await api.catalog()
        except (EngineUnavailable, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, EngineUnavailable) else "the server there is not ComfyUI"
            return [fail("comfyui", f"{url}: {reason}", "start ComfyUI there, or set WORKER_COMFYUI")]
    description = f"{url}: ComfyUI {info.version}, {info.device}, {len(classes)} node classes"
    note = ok("node packs", "a worker does not start this ComfyUI: see its log for packs that failed to import")
    return [version(info.version, description), *packs(classes), note]


def _comfyui_folder(folder: Path) -> list[CheckFinding]:
    """Return the findings about a ComfyUI that is installed in this folder, without starting it."""
    try:
        python, *_ = comfyui_command(folder, port=0)
    except StartupError as error:
        return [fail("comfyui", str(error), "set WORKER_COMFYUI to `embedded`, a URL, or the folder of main.py")]
    description = f"{folder}, started with {python}"
    try:
        match = VERSION.search((folder / "comfyui_version.py").read_text())
    except OSError:
        match = None
    if match is None:
        advice = f"use ComfyUI {TESTED_VERSION}, with which the worker is tested"
        return [warn("comfyui", f"{description}, of unknown version", advice)]
    return [version(match[1], f"{description}, ComfyUI {match[1]}"), *_pack_folders(folder / "custom_nodes")]


def version(installed: str, description: str) -> CheckFinding:
    """Return a finding with this description: a warning for a version older than TESTED_VERSION.

    An older ComfyUI imports RES4LYF and then rejects all of its samplers, so that the start alone proves nothing.
    """
    if _numbers(installed) < _numbers(TESTED_VERSION):
        advice = f"use ComfyUI {TESTED_VERSION} or newer: older ones reject RES4LYF's samplers"
        return warn("comfyui", description, advice)
    return ok("comfyui", description)


def packs(classes: Collection[str]) -> list[CheckFinding]:
    """Return a finding for each of PACKS, by the node classes that it registers.

    The folder of a pack is no proof, as its import may fail.
    """
    return [
        ok(pack, f"has the node class {name}")
        if name in classes
        else _missing(pack, f"the node class {name} is missing")
        for pack, name in PACKS.items()
    ]


def _pack_folders(folder: Path) -> list[CheckFinding]:
    """Return a finding for each of PACKS, by its folder: a ComfyUI that is not running has no list of classes."""
    return [
        ok(pack, str(folder / pack)) if (folder / pack).is_dir() else _missing(pack, f"is not in {folder}")
        for pack in PACKS
    ]


def failed_packs(state: Path) -> list[CheckFinding]:
    """Return a warning for each pack that failed to import at the last start of ComfyUI with this state folder."""
    logs = sorted(state.glob("engine*.log"))
    failed = {pack.name: pack for path in logs for pack in read_failed_packs(path)}
    return [warn(pack.name, f"at the last start of ComfyUI {pack}", _advice(pack, state)) for pack in failed.values()]


def _advice(pack: FailedPack, state: Path) -> str:
    """Return the remedy that is known for the failure, or else the folder with the traceback."""
    return pack.cure if pack.cure != REPAIR else f"repair the pack; the traceback is in {state}"


def _missing(pack: str, problem: str) -> CheckFinding:
    """Return the warning about a pack that is not installed, or not imported."""
    return warn(pack, problem, "install it in custom_nodes; if it is installed, ComfyUI's log has the import error")


def _numbers(text: str) -> tuple[int, ...]:
    """Return the first three numbers of a version, for a comparison."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
