"""Reads the templates of a worker from folders. `NAME.json` is the workflow, `NAME.toml` describes its parameters."""

from __future__ import annotations

import tomllib
from pathlib import Path

import worker
from worker.errors import CannotConvert, StartupError
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.editor import convert, is_ui
from worker.workflow.embedded_metadata import extract_workflow
from worker.workflow.templates.reader import read_template
from worker.workflow.templates.template import Library, Template, TemplateError

SHIPPED = "shipped"
_PACKAGE = Path(worker.__file__).parent
_INSTALLED = _PACKAGE / "workflows"
SHIPPED_FOLDER = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "workflows"
"""Folder of the shipped templates: inside the package in a wheel, beside it in a checkout or an editable install."""


def read_library(folders: str) -> Library:
    """Return the templates in the folders of WORKER_TEMPLATES, sorted by name. A later folder overrides an earlier one.

    A workflow may be in API format or as the editor saves it. A workflow without a TOML file is no template. Raises
    StartupError if a folder does not exist or a template is invalid. The message has all problems of that template.
    """
    templates: dict[str, Template] = {}
    for entry in filter(None, map(str.strip, folders.split(","))):
        folder = SHIPPED_FOLDER if entry == SHIPPED else Path(entry)
        if not folder.is_dir():
            raise StartupError(
                f"WORKER_TEMPLATES: the folder {folder} does not exist. Create it, or remove it from the setting."
            )
        templates |= {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}
    return dict(sorted(templates.items()))


def shipped_names() -> frozenset[str]:
    """Return the names of the templates of this package."""
    return frozenset(path.stem for path in SHIPPED_FOLDER.glob("*.toml"))


def _read(path: Path) -> Template:
    """Read the template of one TOML file and the workflow beside it. Raises StartupError."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        workflow: object = extract_workflow(path.with_suffix(".json").read_bytes())
        if is_ui(workflow):
            workflow = convert(workflow, bundled_catalog()).prompt
        return read_template(path.stem, workflow, table)
    except OSError as error:
        raise StartupError(f"{path}: cannot read its workflow {path.stem}.json: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"{path}: {error}") from error
    except CannotConvert as error:
        raise StartupError(f"{path}: cannot convert its workflow: {error.message}") from error
    except TemplateError as error:
        raise StartupError(f"{path}: {'; '.join(error.problems)}") from error
