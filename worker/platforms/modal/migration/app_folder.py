"""The folder of the new app: its source, the handlers with what they import, and `modal_app.py`."""

from __future__ import annotations

import shutil
from pathlib import Path

from worker.errors import MigrationError
from worker.platforms.modal.migration.app_source import AppSource
from worker.platforms.modal.shipped_app import SHIPPED_APP


def write_folder(source: AppSource, text: str, target: Path) -> None:
    """Write the new app. Raises MigrationError when the folder exists, so that nothing is overwritten."""
    try:
        target.mkdir(parents=True)
    except FileExistsError:
        raise MigrationError(f"{target} exists already: name a new folder with --out") from None
    except OSError as error:
        raise MigrationError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from error
    folder = source.path.parent
    for name in source.folders:
        shutil.copytree(folder / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in [*source.modules, *filter(None, [source.requirements])]:
        shutil.copy(folder / name, target / name)
    shutil.copy(SHIPPED_APP, target / SHIPPED_APP.name)
    (target / "app.py").write_text(text, "utf-8")
