"""Differences that are not faults: those caused by the recording machine, and intended ones of the embedded engine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeptDifference:
    """A known difference.

    `scenario` is the start of the name of a recording. `places` are places of `compare.Difference`, in which `*` stands
    for any text.
    """

    scenario: str
    places: tuple[str, ...]
    reason: str

    def covers(self, scenario: str, place: str) -> bool:
        return scenario.startswith(self.scenario) and any(_matches(pattern, place) for pattern in self.places)


OF_THE_RECORDING: tuple[KeptDifference, ...] = (
    KeptDifference(
        "",
        ("* GET */system_stats body * value", "* GET */system_stats body $.system.argv length"),
        "memory, versions and the command line depend on the machine",
    ),
    KeptDifference("05-", ("* header content-range",), "the range depends on the length of the encoded file"),
    KeptDifference(
        "06-",
        ("*.filename value", "* header content-disposition"),
        "two savers number their files in one folder, and the order of a Python set decides which runs first",
    ),
    KeptDifference(
        "07-",
        ("*.filename value", "* header content-disposition"),
        "three savers number their files in one folder, and the order of a Python set decides which runs first",
    ),
    KeptDifference(
        "19b-",
        (
            *(
                "002 POST /prompt status",
                "* GET /queue body $.queue_running *",
                "005 GET /queue body $.queue_pending length",
            ),
            *("ws A order*", "ws A statuses", "009 *"),
        ),
        "the worker thread may end just before or just after the first job starts",
    ),
    KeptDifference(
        "20-", ("* GET /api/jobs?limit=5 body $.pagination.total value",), "jobs of earlier sessions were counted"
    ),
    KeptDifference(
        "21-", ("ws A status $.status.exec_info.queue_remaining value",), "prompts of an earlier session were queued"
    ),
    KeptDifference("24-", ("* GET /internal/logs* body *",), "the log has earlier lines of the process"),
    KeptDifference("24-", ("* GET /internal/files/output body $ length",), "the folder has files of earlier sessions"),
    KeptDifference(
        "24-",
        (
            "* GET /internal/folder_paths body *",
            "* GET /experiment/models body *",
            "* GET /models body *",
            "* GET /workflow_templates body *",
            "* GET /extensions body *",
            "* GET /object_info body length",
        ),
        "folders, templates and classes depend on the installed packs",
    ),
    KeptDifference(
        "31-",
        (
            "*.id value",
            "* GET /api/assets?limit=2 body $.assets[*",
            "* GET /api/assets?limit=2 body $.next_cursor value",
            "* GET /api/assets?limit=2 body $.total value",
            "* GET /api/tags?limit=3 body $.tags[*",
            "ws A order*",
        ),
        "assets have their own ids and times, and a background scan sends events at any time",
    ),
    KeptDifference(
        "24-",
        ("* GET / body", "* GET /view_metadata/* body *"),
        "the page is the installed editor's, and the metadata is that of the model file",
    ),
    KeptDifference("24-", ("* GET /global_subgraphs body *",), "the keys of blueprints are hashes of their paths"),
)
"""Differences of any engine from the recordings, even of another real ComfyUI."""

ON_PURPOSE: tuple[KeptDifference, ...] = (
    KeptDifference(
        "",
        (
            "*.tooltip missing",
            "*.description value",
            "*.search_aliases *",
            "*.essentials_category *",
            "*.output_tooltips missing",
            "*.display missing",
        ),
        "The catalog contains facts only: no descriptions, tooltips, search words or display hints.",
    ),
    KeptDifference(
        "24-",
        ("* GET / *",),
        "There is no editor: no page at `/`, no extensions, no blueprints, no templates.",
    ),
    KeptDifference(
        "",
        ("* GET */system_stats body $.system.comfy_package_versions length",),
        "`/system_stats` says that the engine is embedded and names no ComfyUI packages.",
    ),
    KeptDifference(
        "24-",
        ("* GET /view_metadata/* status",),
        "Models are names without files, so they have no metadata.",
    ),
    KeptDifference(
        "21-",
        ("*.text[0] value",),
        "`PreviewAny` of an image writes a short text, because there are no tensors to print.",
    ),
    KeptDifference(
        "31-",
        ("*",),
        "The option `--enable-assets` does not exist. The engine responds like a ComfyUI that was started without it.",
    ),
)
"""Intended differences of the embedded engine. `docs/embedded-engine.md` gives the reasons in the same words."""


def kept(scenario: str, place: str, *, embedded: bool) -> KeptDifference | None:
    """Return the entry that explains a difference, or None."""
    table: Iterable[KeptDifference] = OF_THE_RECORDING + ON_PURPOSE if embedded else OF_THE_RECORDING
    return next((entry for entry in table if entry.covers(scenario, place)), None)


def _matches(pattern: str, place: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), place) is not None
