"""The templates of this worker, read from folders: `NAME.json` is the workflow, `NAME.toml` its parameters."""

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
"""Inside the package in a wheel; beside it in a checkout, and so in an editable install."""


def read_library(folders: str) -> Library:
    """Templates by name, in order, from WORKER_TEMPLATES; of two with one name the later folder's is taken.

    A workflow may be as the editor saves it; one without a TOML is no template. Raises StartupError for a folder that
    is not there, and with everything that is wrong in the first template that can't be read.
    """
    found: dict[str, Template] = {}
    for entry in filter(None, map(str.strip, folders.split(","))):
        folder = SHIPPED_FOLDER if entry == SHIPPED else Path(entry)
        if not folder.is_dir():
            raise StartupError(f"WORKER_TEMPLATES: there is no folder {folder}")
        found |= {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}
    return dict(sorted(found.items()))


def _read(path: Path) -> Template:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        workflow: object = extract_workflow(path.with_suffix(".json").read_bytes())
        if is_ui(workflow):
            workflow = convert(workflow, bundled_catalog()).prompt
        return read_template(path.stem, workflow, table)
    except OSError as error:
        raise StartupError(f"{path}: its workflow {path.stem}.json can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"{path}: {error}") from error
    except CannotConvert as error:
        raise StartupError(f"{path}: its workflow can't be read: {error.message}") from error
    except TemplateError as error:
        raise StartupError(f"{path}: {'; '.join(error.problems)}") from error
