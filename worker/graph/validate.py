"""What ComfyUI's `POST /prompt` would say to a prompt, decided without a ComfyUI."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from worker.graph.catalog import Catalog
from worker.graph.files import FileCheck
from worker.graph.json_value import JsonObject
from worker.graph.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a submission, as ComfyUI 0.33.0 gives it.

    `status` is 200, 400, or 500 where the real server fails without saying why (`error` is None then). `error` and
    `node_errors` have ComfyUI's shape; `node_errors` may be filled at 200, when only some outputs are valid.
    `outputs` are the output nodes to run, in the prompt's order. `prompt` has replaced classes and coerced values.
    """

    status: int
    error: JsonObject | None
    node_errors: JsonObject
    outputs: tuple[str, ...]
    prompt: Prompt

    @property
    def accepted(self) -> bool:
        return self.status == 200


def validate(
    prompt: object,
    catalog: Catalog,
    files: FileCheck | None = None,
    partial_targets: Collection[str] | None = None,
) -> Verdict:
    """Decide what `POST /prompt` answers for the value of its key `prompt`. The argument is not changed.

    With `files`, a choice of files also takes a name that exists, and the checks of loaders ask it; without, only
    the options that the catalog lists count and loaders' files are taken for present.
    """
    raise NotImplementedError
