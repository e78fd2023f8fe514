"""The differences that are no faults: what a recording owes to its machine, and what the embedded engine leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeptDifference:
    """`places` are those of `compare.Difference`, `*` standing for anything; `scenario` is the start of its name."""

    scenario: str
    places: tuple[str, ...]
    reason: str

    def covers(self, scenario: str, place: str) -> bool:
        return scenario.startswith(self.scenario) and any(_matches(pattern, place) for pattern in self.places)


OF_THE_RECORDING: tuple[KeptDifference, ...] = (
    KeptDifference(
        "",
        ("* GET */system_stats body * value", "* GET */system_stats body $.system.argv length"),
        "memory, versions and the command line are the machine's",
    ),
    KeptDifference("05-", ("* header content-range",), "the range is one of a file as long as the encoder made it"),
    KeptDifference(
        "06-",
        ("*.filename value", "* header content-disposition"),
        "two savers count in one folder, and the first to run is the first of a Python set",
    ),
    KeptDifference(
        "07-",
        ("*.filename value", "* header content-disposition"),
        "three savers count in one folder, and the first to run is the first of a Python set",
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
        "whether the first job starts before the worker dies is decided within a millisecond",
    ),
    KeptDifference(
        "20-", ("* GET /api/jobs?limit=5 body $.pagination.total value",), "jobs of earlier sessions were counted"
    ),
    KeptDifference(
        "21-", ("ws A status $.status.exec_info.queue_remaining value",), "prompts of an earlier session were queued"
    ),
    KeptDifference("24-", ("* GET /internal/logs* body *",), "what was printed before is the process's own past"),
    KeptDifference("24-", ("* GET /internal/files/output body $ length",), "files of earlier sessions lay there"),
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
        "folders, templates and classes are those of the installed packs",
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
        "assets have ids and times of their own, and a scan in the background tells of itself when it likes",
    ),
    KeptDifference(
        "24-",
        ("* GET / body", "* GET /view_metadata/* body *"),
        "the page is the installed editor's, the metadata is that of the model file",
    ),
    KeptDifference("24-", ("* GET /global_subgraphs body *",), "blueprints are keyed by a hash of where they lie"),
)
"""Any engine may differ here, another real one too."""

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
        "The catalog is reduced to facts: no descriptions, tooltips, search words or display hints.",
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
        "21-", ("*.text[0] value",), "`PreviewAny` of a picture writes a short text: there are no tensors to print."
    ),
    KeptDifference(
        "31-", ("*",), "`--enable-assets` is not offered; the engine answers as a ComfyUI started without it."
    ),
)
"""The embedded engine differs here and will; `docs/embedded-engine.md` tells the reasons in the same words."""


def kept(scenario: str, place: str, *, embedded: bool) -> KeptDifference | None:
    """The entry that explains a difference, if there is one."""
    table: Iterable[KeptDifference] = OF_THE_RECORDING + ON_PURPOSE if embedded else OF_THE_RECORDING
    return next((entry for entry in table if entry.covers(scenario, place)), None)


def _matches(pattern: str, place: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), place) is not None
