"""The common part of several catalogs."""

from __future__ import annotations

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.common import common_catalog


def catalog(checkpoints: list[str], *more: str) -> Catalog:
    loader = {
        "input": {"required": {"ckpt_name": [checkpoints, {"tooltip": "t"}], "mode": ["INT", {"default": 1}]}},
        "output": ["MODEL"],
    }
    newer = {"input": {"required": {"file": ["COMBO", {"options": [*checkpoints], "multiselect": True}]}}, "output": []}
    info: dict[str, object] = {"CheckpointLoaderSimple": loader, "Newer": newer}
    return Catalog.from_object_info(info | {name: {"input": {}, "output": []} for name in more})


def test_common_catalog_has_shared_classes_and_choices() -> None:
    """A class or a choice that one catalog lacks is removed, in both forms of choices.

    The order is that of the first.
    """
    both = common_catalog(
        [catalog(["b", "a", "c"], "X", "Y"), catalog(["a", "b", "d"], "Y", "Z"), catalog(["a", "b"], "Y")]
    )
    assert set(both) == {"CheckpointLoaderSimple", "Newer", "Y"}
    assert both["CheckpointLoaderSimple"].by_name["ckpt_name"].options == ("b", "a")
    assert both["Newer"].by_name["file"].options == ("b", "a")
    assert both["CheckpointLoaderSimple"].by_name["mode"].default == 1
    assert both.object_info("Newer")["input"] == {
        "required": {"file": ["COMBO", {"options": ["b", "a"], "multiselect": True}]}
    }


def test_equal_classes_are_not_copied() -> None:
    """Classes that are equal in all catalogs are not copied."""
    first = catalog(["a"], "X")
    both = common_catalog([first, catalog(["a"], "X")])
    assert both.to_object_info() == first.to_object_info()
    assert both["X"] is not None
