"""The values that a shell offers for an argument.

If nothing is returned, the shell completes file names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def template_names(incomplete: str) -> list[tuple[str, str]]:
    """Return the name and title of each template that begins with this text.

    The list is empty where a template cannot be read: an error has no place in a line that is being typed.
    """
    from worker.errors import StartupError
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    try:
        library = read_library(Settings.from_env().templates)
    except StartupError:
        return []
    return [(name, template.title) for name, template in library.items() if name.startswith(incomplete)]


def node_pack_names(incomplete: str) -> list[str]:
    """Return the names of the packs in comfyui_nodes.txt that begin with this text."""
    return [name for name in _pinned(Path("comfyui_nodes.txt")) if name.startswith(incomplete)]


def _pinned(file: Path) -> Iterator[str]:
    """Yield the name of each pack that the file pins: the first word of a line. Yield nothing if there is no file."""
    if file.is_file():
        for line in file.read_text("utf-8", "replace").splitlines():
            if line and not line.startswith("#"):
                yield line.split()[0]
