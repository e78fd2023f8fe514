"""A package index in a folder, with wheels that have only requirements."""

from __future__ import annotations

import zipfile
from pathlib import Path


def add_wheel(folder: Path, name: str, version: str, *wants: str) -> None:
    folder.mkdir(exist_ok=True)
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {want}\n" for want in wants)
    wheel = "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as file:
        for path, text in (("METADATA", metadata), ("WHEEL", wheel), ("RECORD", "")):
            file.writestr(f"{info}/{path}", text)


def only(folder: Path) -> dict[str, str]:
    """Return the arguments that make uv use only this index."""
    return {"UV_OFFLINE": "1", "UV_FIND_LINKS": str(folder), "UV_NO_CACHE": "1", "UV_NO_CONFIG": "1"}
