"""What ComfyUI's folder consists of: its code and models, what links in it lead to, and what YAML files add."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from worker.engine.process.required_packs import RECORD

PRIVATE = ("input", "output", "temp", "user", ".git")
"""Folders of a tree that hold what people made in it; the worker gives its engines others."""
MODEL_PATHS = "extra_model_paths.yaml"
MOST_ENTRIES, MOST_LINKS = 100_000, 4000
SKIPPED = {".git", "__pycache__", "node_modules", ".venv", "venv"}
LINE = re.compile(r"^(?P<indent> *)(?:(?P<key>[\w.-]+) *:)? *(?:\| *)?(?P<value>.*?) *(?:#.*)?$")
WRITTEN_OPTIONS = ("--output-directory", "--temp-directory", "--user-directory", "--input-directory")
PACK_FILES = {"RES4LYF": ("res4lyf.config.json",), "ComfyUI-Easy-Use": ("config.yaml",)}
"""Files of data that packs write into their own folder whenever they are imported, and fail where they can't. An image
has them from `writes=` of its pins."""


def link_targets(folders: Iterable[Path]) -> list[Path]:
    """Return the targets of links below these folders, which Landlock takes for what they are. Bounded."""
    found: dict[Path, None] = {}
    entries = 0
    for root in folders:
        for folder, names, files in os.walk(root):
            names[:] = [name for name in names if name not in SKIPPED]
            entries += 1 + len(files)
            for name in (*names, *files):
                path = os.path.join(folder, name)  # noqa: PTH118 - a tenth of the time
                if os.path.islink(path):  # noqa: PTH114
                    target = Path(os.path.realpath(path))
                    found.setdefault(target)
            if entries > MOST_ENTRIES or len(found) > MOST_LINKS:
                return list(found)
    return list(found)


def pack_files(tree: Path) -> list[Path]:
    """Return the files that this tree's packs write into their own folders, links among them resolved."""
    packs = tree / "custom_nodes"
    names = {pack: set(files) for pack, files in PACK_FILES.items()}
    try:
        for pack, row in json.loads((tree / RECORD).read_bytes()).items():
            names.setdefault(pack, set()).update(row.get("writes", ()))
    except (OSError, ValueError, AttributeError):
        pass  # no image's build has laid it down
    return [
        (packs / pack / name).resolve() for pack, files in names.items() if (packs / pack).is_dir() for name in files
    ]


def model_paths(file: Path) -> list[Path]:
    """Return the folders that a file like extra_model_paths.yaml names, by the lines that ComfyUI understands."""
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return []
    return [path for path in _named(text, file.absolute().parent) if path.exists()]


def _named(text: str, home: Path) -> Iterator[Path]:
    base = home
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None:
            continue
        key, value = found["key"], found["value"].strip().strip("'\"")
        if key and not found["indent"]:
            base = home
        if not value or value in {"true", "false"}:
            continue
        path = Path(os.path.expandvars(value)).expanduser()
        if key == "base_path":
            base = home / path
        else:
            yield base / path


def argument_paths(args: str) -> tuple[list[Path], list[Path]]:
    """Return what ComfyUI's arguments name: what is there to be read, and the folders that are written."""
    words = [part for word in shlex.split(args) for part in word.split("=", 1)]
    read: list[Path] = []
    written: list[Path] = []
    for before, word in zip(["", *words], words, strict=False):
        path = Path(word)
        if before in WRITTEN_OPTIONS:
            written.append(path.absolute())
        elif path.is_absolute() and path.exists():
            read.append(path)
        if path.suffix in {".yaml", ".yml"}:
            read += model_paths(path)
    return read, written
