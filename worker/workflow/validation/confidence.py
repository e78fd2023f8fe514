"""Decides which problems may reject a job before ComfyUI sees it. A false rejection would cost a valid job."""

from __future__ import annotations

from collections.abc import Mapping

from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.prompt import Prompt, links
from worker.workflow.validation.check import UNSOUND
from worker.workflow.validation.explain import Problem

RULES_OF = "0.33."
"""Start of the ComfyUI versions whose rules `validate` implements."""

_EVERYWHERE = frozenset({UNSOUND, "missing_node_type", "prompt_no_outputs", "dependency_cycle", "bad_linked_input"})
"""Kinds of problems that every version of ComfyUI rejects, for every class."""


def is_certain(problem: Problem, prompt: Prompt, catalog: Catalog, version: str = RULES_OF) -> bool:
    """Return whether ComfyUI of this version, with these classes, would certainly reject the prompt for this problem.

    The kinds in `_EVERYWHERE` are always certain. Of the others, a problem of an unknown class is not certain: such a
    class may check its inputs itself, which disables ComfyUI's own limits, or may have types that equal everything. A
    problem that the validator of a class reports is not certain, because the files of the request do not exist yet. For
    another version than `RULES_OF`, only a missing input is certain, unless its class can have dynamic inputs.
    """
    if problem.kind in _EVERYWHERE:
        return True
    node = prompt.get(problem.node_id or "")
    # The recursion limit depends on the depth of the call, which differs between ComfyUI and this worker.
    if node is None or problem.kind == "custom_validation_failed" or "recursion" in problem.message:
        return False
    class_type = node["class_type"]
    same_rules = version.startswith(RULES_OF)
    if problem.kind == "required_input_missing":
        return same_rules or not (class_type in catalog and catalog[class_type].is_v3)
    sources = [prompt[source]["class_type"] for _, source, _ in links(node) if source in prompt]
    return same_rules and all(_is_bundled(name, catalog) for name in (class_type, *sources))


def _is_bundled(class_type: str, catalog: Mapping[str, object]) -> bool:
    """Return whether a class is in the bundled catalog, under the same name and in the same pack."""
    bundled = bundled_catalog()
    if class_type not in bundled or class_type not in catalog or not isinstance(catalog, Catalog):
        return False
    return bundled[class_type].pack == catalog[class_type].pack
