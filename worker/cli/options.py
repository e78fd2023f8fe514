"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CatalogFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--catalog", metavar="FILE", help="Your ComfyUI's response to GET /object_info. Several files are merged."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Token = Annotated[
    str | None, typer.Option(envvar="WORKER_TOKEN", help="One of the worker's WORKER_TOKENS, if it has any.")
]
