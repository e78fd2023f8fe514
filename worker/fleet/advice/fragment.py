"""The advice as text to paste: keys of `vast.toml`, or the settings of another platform."""

from __future__ import annotations

import json
from collections.abc import Iterator

from worker.fleet.advice.candidate import Candidate
from worker.fleet.advice.spaces.runpod_space import SCALERS
from worker.fleet.definition.fleet import Fleet

TITLES = {"runpod": "RunPod: settings of the endpoint", "modal": "Modal: arguments of @app.cls"}


def fragment(fleet: Fleet, platform: str, candidate: Candidate, present: Candidate) -> str:
    """Return TOML with the settings of a candidate. A comment says what the fleet file has now, where it differs."""
    if platform in TITLES:
        lines = [f"# {TITLES[platform]}, with the GPU {candidate.gpu}", *_settings(candidate, None)]
    else:
        lines = ["[endpoint]", *_settings(candidate, present), "", *_group(fleet, candidate)]
    return "\n".join(lines) + "\n"


def settings_text(candidate: Candidate) -> dict[str, str]:
    """Return the settings of a candidate by name, each as in TOML."""
    scalers = [f'"{name}"' for name in SCALERS]
    return {
        name: scalers[int(value)] if name == "scaler" else _number(name, value) for name, value in candidate.settings
    }


def _settings(candidate: Candidate, present: Candidate | None) -> Iterator[str]:
    """Yield a line for each setting."""
    now = settings_text(present) if present else {}
    for name, text in settings_text(candidate).items():
        yield f"{name} = {text}" + _now(now.get(name, text) != text, now.get(name, ""))


def _group(fleet: Fleet, candidate: Candidate) -> Iterator[str]:
    """Yield the keys of the group that rents the GPU: the one that has it in the file, or else the first."""
    groups = fleet.groups
    name = next((name for name, group in groups.items() if candidate.gpu in group.gpus), next(iter(groups)))
    group, most = groups[name], max(int(candidate.value("max_workers")), 1)
    yield f"[groups.{name}]"
    yield f"gpus = [{json.dumps(candidate.gpu)}]" + _now(group.gpus != [candidate.gpu], json.dumps(group.gpus))
    yield f"max_workers = {most}" + _now(group.max_workers != most, str(group.max_workers))


def _now(differs: bool, text: str) -> str:
    """Return the comment about what the file has now."""
    return f"  # now {text}" if differs else ""


def _number(name: str, value: float) -> str:
    """Return a value as TOML: a whole number where the fleet file wants one."""
    return f"{value:.4g}" if name in WHOLE else json.dumps(round(value, 4))


WHOLE = frozenset(
    {"cold_workers", "max_workers", "workersMin", "workersMax", "requestCount"}
    | {"min_containers", "max_containers", "buffer_containers", "scaledown_window"}
)
"""Settings that are whole numbers."""
