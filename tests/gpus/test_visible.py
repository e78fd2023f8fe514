"""CUDA_VISIBLE_DEVICES names the GPUs that an engine can use."""

from __future__ import annotations

import pytest

from worker.gpus.facts import Gpu
from worker.gpus.visible import engines_by_gpu, visible_gpus

GPUS = (
    Gpu(0, "GPU-8932f937-d72c", "NVIDIA A100-SXM4-80GB"),
    Gpu(1, "GPU-8932aaaa-0000", "NVIDIA A100-SXM4-80GB", ("MIG-1c2d", "MIG-1fff")),
    Gpu(2, "GPU-46408220-f6ec", "NVIDIA A100-SXM4-80GB"),
)


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1", [1]),
        ("2, 0", [2, 0]),
        ("0,7,2", [0]),
        ("GPU-8932f937", [0]),
        ("GPU-8932", []),
        ("GPU-46408220-f6ec,0", [2, 0]),
        ("MIG-1c2d", [1]),
        ("MIG-1c2d,MIG-1fff", [1]),
        ("MIG-GPU-46408220-f6ec/3/0", [2]),
    ],
)
def test_an_engine_sees_the_gpus_of_its_variable(text: str | None, indices: list[int]) -> None:
    """As in CUDA: indices and UUIDs in their order, and nothing behind an entry that does not exist."""
    assert [gpu.index for gpu in visible_gpus(text, GPUS)] == indices


def test_each_gpu_belongs_to_one_engine() -> None:
    """An engine without a variable uses all GPUs, and one whose GPU is not listed here uses none."""
    assert engines_by_gpu({"engine-0": None}, GPUS) == dict.fromkeys((gpu.uuid for gpu in GPUS), "engine-0")
    assert engines_by_gpu({"engine-0": "0", "engine-1": "2", "engine-2": "5"}, GPUS) == {
        GPUS[0].uuid: "engine-0",
        GPUS[2].uuid: "engine-1",
    }
