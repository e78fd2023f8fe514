"""Which refusals may be told ahead of ComfyUI, and which are better left to it: a false one would cost a good job."""

from __future__ import annotations

from collections.abc import Mapping

from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.prompt import Prompt, links
from worker.workflow.validation.check import UNSOUND
from worker.workflow.validation.explain import Problem

RULES_OF = "0.33."
"""The versions of ComfyUI whose rules `validate` has."""

_EVERYWHERE = frozenset({UNSOUND, "missing_node_type", "prompt_no_outputs", "dependency_cycle", "bad_linked_input"})
"""True of every version and for every class."""


def is_certain(problem: Problem, prompt: Prompt, catalog: Catalog, version: str = RULES_OF) -> bool:
    """Tell whether a ComfyUI of this version with these classes would refuse for this reason, too.

    A class of a pack that we don't know may check its inputs itself, which switches ComfyUI's own limits off, or have
    types that compare equal to everything. A newer ComfyUI may have rules that we don't know. Missing inputs are
    refused by all of them, but for the dynamic inputs of other versions. The files of a request are not there yet.
    """
    if problem.kind in _EVERYWHERE:
        return True
    node = prompt.get(problem.node_id or "")
    if node is None or problem.kind == "custom_validation_failed" or "recursion" in problem.message:
        return False
    class_type = node["class_type"]
    same_rules = version.startswith(RULES_OF)
    if problem.kind == "required_input_missing":
        return same_rules or not (class_type in catalog and catalog[class_type].is_v3)
    sources = [prompt[source]["class_type"] for _, source, _ in links(node) if source in prompt]
    return same_rules and all(_known(name, catalog) for name in (class_type, *sources))


def _known(class_type: str, catalog: Mapping[str, object]) -> bool:
    """True for a class that is, under its name and in its pack, one of those that the rules were made from."""
    facts = bundled_catalog()
    if class_type not in facts or class_type not in catalog or not isinstance(catalog, Catalog):
        return False
    return facts[class_type].pack == catalog[class_type].pack
