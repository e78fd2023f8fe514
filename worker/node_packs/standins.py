"""Folders for a trial run of ComfyUI, with empty files as stand-ins for models and inputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.templates.template import ModelFile, ParameterKind, Template

INPUT_NAMES = {
    ParameterKind.IMAGE: "stand-in.png",
    ParameterKind.VIDEO: "stand-in.mp4",
    ParameterKind.AUDIO: "stand-in.wav",
}


def write_standins(home: Path, models: Iterable[ModelFile]) -> list[str]:
    """Write empty model and input files into the existing folder `home`. Return ComfyUI's arguments to use them.

    ComfyUI's own models and packs stay where they are.
    """
    folders: dict[str, str] = {}  # ComfyUI's name of each model folder, and its path below `models`
    for model in models:
        path = home / "models" / model.folder / model.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        folders[model.folder] = model.folder
    for name in ("input", "output", "user"):
        (home / name).mkdir()
    for name in INPUT_NAMES.values():
        (home / "input" / name).touch()
    models_yaml = home / "models.yaml"
    # JSON is valid YAML. --models-directory would be simpler, but most versions of ComfyUI do not have it.
    models_yaml.write_bytes(
        orjson.dumps({"standins": {"base_path": str(home / "models"), **folders}} if folders else {})
    )
    return [
        *("--output-directory", str(home / "output"), "--input-directory", str(home / "input")),
        *("--user-directory", str(home / "user"), "--temp-directory", str(home)),
        *("--database-url", f"sqlite:///{home / 'user' / 'comfyui.db'}"),
        *(("--extra-model-paths-config", str(models_yaml)) if folders else ()),
    ]


def standin_params(template: Template) -> dict[str, str]:
    """Return the values of a template's required files, by the parameters' names: names of empty input files.

    All other parameters have defaults.
    """
    files = [parameter for parameter in template.parameters if parameter.type.is_file and parameter.required]
    return {parameter.name: INPUT_NAMES[parameter.type] for parameter in files}


def without_standins(catalog: Catalog, models: Iterable[ModelFile]) -> dict[str, Any]:
    """Return the catalog in the form of ComfyUI's `GET /object_info`, without the names of the stand-ins."""
    names = {*INPUT_NAMES.values(), *(model.file for model in models)}
    info: dict[str, Any] = catalog.to_object_info()
    return {name: {**node, "input": _without(node.get("input"), names)} for name, node in info.items()}


def _without(value: Any, names: set[str]) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON value without these names in any list, at any depth."""
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, names) for inner in value if not (isinstance(inner, str) and inner in names)]
    return value
