"""Time that walks over large prompts take."""

from __future__ import annotations

from collections.abc import Iterator

from worker.load.workload import workload
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.missing_class import MOST_SUGGESTIONS, missing_classes
from worker.workflow.walk import LARGE, is_large


def test_similar_names_are_searched_for_the_first_classes_only() -> None:
    """Each missing class is a problem, but only the first ones have a suggestion."""
    prompt = {str(number): {"class_type": f"EmptyImagee{number}", "inputs": {}} for number in range(60)}
    problems = list(missing_classes(prompt, bundled_catalog(), None))
    assert len(problems) == 60
    assert sum(problem.suggestion is not None for problem in problems) == MOST_SUGGESTIONS


class CountedInputs(dict[str, object]):
    """Inputs of a node that count how often they are iterated."""

    walks = 0

    def items(self) -> Iterator[tuple[str, object]]:  # type: ignore[override]
        CountedInputs.walks += 1
        return iter(super().items())


def test_workload_of_many_outputs_takes_linear_time() -> None:
    """Each node of a chain with many outputs is visited a few times, not once for each output."""
    size = 300
    prompt: dict[str, dict] = {"0": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64}}}
    for number in range(1, size):
        inputs = CountedInputs({"image": [str(number - 1), 0]})
        prompt[str(number)] = {"class_type": "ImageInvert", "inputs": inputs}
        prompt[f"p{number}"] = {"class_type": "PreviewImage", "inputs": CountedInputs({"images": [str(number), 0]})}
    CountedInputs.walks = 0
    assert workload(prompt, Catalog.bundled()) > 0
    assert CountedInputs.walks < 20 * size


def test_is_large_depends_on_the_json() -> None:
    """Many nodes, long texts and very deep lists are large."""
    deep: list = []
    for _ in range(300):
        deep = [deep]
    assert not is_large({"1": {"inputs": {"text": "a" * 1000}}})
    assert is_large({"1": {"inputs": {"text": "a" * LARGE}}})
    assert is_large(deep)
