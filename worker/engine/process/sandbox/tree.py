"""The parts of a ComfyUI folder: its code and models, the targets of its links, and the folders that YAML files add."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from worker.engine.process.required_packs import RECORD

PRIVATE = ("input", "output", "temp", "user", ".git")
"""Folders with users' files in ComfyUI's folder. The engines of the worker use other folders."""
MODEL_PATHS = "extra_model_paths.yaml"
MOST_ENTRIES, MOST_LINKS = 100_000, 4000
SKIPPED = {".git", "__pycache__", "node_modules", ".venv", "venv"}
LINE = re.compile(r"^(?P<indent> *)(?:(?P<key>[\w.-]+) *:)? *(?:\| *)?(?P<value>.*?) *(?:#.*)?$")
WRITTEN_OPTIONS = ("--output-directory", "--temp-directory", "--user-directory", "--input-directory")
PACK_FILES = {"RES4LYF": ("res4lyf.config.json",), "ComfyUI-Easy-Use": ("config.yaml",)}
"""Files that packs write into their own folder at each import, which fails when they cannot.

For an image they are in `writes=` of its pins."""


def link_targets(folders: Iterable[Path]) -> list[Path]:
    """Return the targets of the links below these folders, because Landlock checks the target.

    With very many entries or links, the list is incomplete.
    """
    targets: dict[Path, None] = {}
    entries = 0
    for root in folders:
        for folder, names, files in os.walk(root):
            names[:] = [name for name in names if name not in SKIPPED]  # os.walk enters only what stays
            entries += 1 + len(files)
            for name in (*names, *files):
                path = os.path.join(folder, name)  # noqa: PTH118 - a tenth of the time
                if os.path.islink(path):  # noqa: PTH114
                    target = Path(os.path.realpath(path))
                    targets.setdefault(target)
            if entries > MOST_ENTRIES or len(targets) > MOST_LINKS:  # so that a large folder does not delay the start
                return list(targets)
    return list(targets)


def pack_files(tree: Path) -> list[Path]:
    """Return the files that packs write into their own folders, with links resolved."""
    packs = tree / "custom_nodes"
    names = {pack: set(files) for pack, files in PACK_FILES.items()}
    try:
        for pack, row in json.loads((tree / RECORD).read_bytes()).items():
            names.setdefault(pack, set()).update(row.get("writes", ()))
    except (OSError, ValueError, AttributeError):
        pass  # no image build has installed this tree
    return [
        (packs / pack / name).resolve() for pack, files in names.items() if (packs / pack).is_dir() for name in files
    ]


def model_paths(file: Path) -> list[Path]:
    """Return the folders in a file like extra_model_paths.yaml, read line by line."""
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return []
    return [path for path in _paths_in_yaml(text, file.absolute().parent) if path.exists()]


def _paths_in_yaml(text: str, home: Path) -> Iterator[Path]:
    """Yield the paths in the text. Relative ones are below the `base_path` of their section, or else below `home`."""
    base = home
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        key, value = match["key"], match["value"].strip().strip("'\"")
        if key and not match["indent"]:  # a new section
            base = home
        if not value or value in {"true", "false"}:
            continue
        path = Path(os.path.expandvars(value)).expanduser()
        if key == "base_path":
            base = home / path
        else:
            yield base / path


def argument_paths(args: str) -> tuple[list[Path], list[Path]]:
    """Return two lists of paths in ComfyUI's arguments: existing ones that it reads, and folders that it writes to."""
    words = [part for word in shlex.split(args) for part in word.split("=", 1)]
    read: list[Path] = []
    written: list[Path] = []
    for previous, word in zip(["", *words], words, strict=False):
        path = Path(word)
        if previous in WRITTEN_OPTIONS:
            written.append(path.absolute())
        elif path.is_absolute() and path.exists():
            read.append(path)
        if path.suffix in {".yaml", ".yml"}:
            read += model_paths(path)
    return read, written
