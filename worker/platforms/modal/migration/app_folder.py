"""The folder of the new app: its source, the handlers with what they import, `modal_app.py`, and a Dockerfile."""

from __future__ import annotations

import shutil
from pathlib import Path

from worker.errors import MigrationError
from worker.platforms.modal.migration.app_source import AppSource
from worker.platforms.modal.migration.image_source import REQUIREMENTS
from worker.platforms.modal.shipped_app import SHIPPED_APP

DOCKERFILE = """# The worker's image with the handlers of this app, and their packages in an environment of their own.
ARG WORKER=ghcr.io/you/comfy-worker
FROM ${{WORKER}} AS packages
USER 0
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3.12-venv && python3.12 -m venv /opt/app/.venv
COPY requirements.txt /opt/app/
RUN /opt/app/.venv/bin/pip install --no-cache-dir --requirement /opt/app/requirements.txt

FROM ${{WORKER}}
COPY --chown=10001:10001 . /opt/app
COPY --from=packages --chown=10001:10001 /opt/app/.venv /opt/app/.venv
ENV WORKER_HANDLERS=/opt/app \\
    WORKER_HANDLERS_PORT={port}
"""
DOCKERIGNORE = """app.py
modal_app.py
Dockerfile
README.md
.git
.venv
**/__pycache__
"""


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
    for name in source.modules:
        shutil.copy(folder / name, target / name)
    (target / REQUIREMENTS).write_text("".join(f"{line}\n" for line in source.image.packages), "utf-8")
    (target / "Dockerfile").write_text(DOCKERFILE.format(port=_port(source)), "utf-8")
    (target / ".dockerignore").write_text(DOCKERIGNORE, "utf-8")
    shutil.copy(SHIPPED_APP, target / SHIPPED_APP.name)
    (target / "app.py").write_text(text, "utf-8")


def _port(source: AppSource) -> int:
    """Return the port at which the handlers expect ComfyUI, or 0, with which they have to use the one that they get."""
    return next((entry.comfy_port for entry in source.classes if entry.comfy_port), 0)
