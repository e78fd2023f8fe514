"""Folders for a ComfyUI that is only tried out, and empty files in place of models and inputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.templates.template import ModelFile, ParameterKind, Template

INPUTS = {ParameterKind.IMAGE: "stand-in.png", ParameterKind.VIDEO: "stand-in.mp4", ParameterKind.AUDIO: "stand-in.wav"}


def write(home: Path, models: Iterable[ModelFile]) -> list[str]:
    """Into `home`, which is there; ComfyUI's arguments for it. Its own models and packs stay where they are."""
    folders: dict[str, str] = {}
    for model in models:
        path = home / "models" / model.folder / model.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        folders[model.folder] = model.folder
    for name in ("input", "output", "user"):
        (home / name).mkdir()
    for name in INPUTS.values():
        (home / "input" / name).touch()
    more = home / "models.yaml"
    # JSON is YAML; --models-directory would do as well, but is younger than most ComfyUIs.
    more.write_bytes(orjson.dumps({"standins": {"base_path": str(home / "models"), **folders}} if folders else {}))
    return [
        *("--output-directory", str(home / "output"), "--input-directory", str(home / "input")),
        *("--user-directory", str(home / "user"), "--temp-directory", str(home)),
        *("--database-url", f"sqlite:///{home / 'user' / 'comfyui.db'}"),
        *(("--extra-model-paths-config", str(more)) if folders else ()),
    ]


def params(template: Template) -> dict[str, str]:
    """Its required files; everything else has a default."""
    return {one.name: INPUTS[one.type] for one in template.parameters if one.type.is_file and one.required}


def without(catalog: Catalog, models: Iterable[ModelFile]) -> dict[str, Any]:
    """What `GET /object_info` would answer if nothing stood in."""
    names = {*INPUTS.values(), *(model.file for model in models)}
    info: dict[str, Any] = catalog.to_object_info()
    return {name: {**one, "input": _without(one.get("input"), names)} for name, one in info.items()}


def _without(value: Any, names: set[str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, names) for inner in value if not (isinstance(inner, str) and inner in names)]
    return value
