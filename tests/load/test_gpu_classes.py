"""Classes of GPUs by the names of devices."""

from __future__ import annotations

import pytest

from worker.load.gpu_classes import REFERENCE, UNKNOWN, gpu_class
from worker.load.node_work import NodeWork
from worker.load.prior import prior_seconds


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090 D", "RTX 4090 D"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "RTX 4090 Laptop"),
        ("NVIDIA GeForce RTX 3090 Ti", "RTX 3090 Ti"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", "RTX 4070 Ti SUPER"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA H20", "H20"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA A100-PCIE-40GB", "A100 PCIe 40GB"),
        ("NVIDIA A100-SXM4-40GB MIG 2g.10gb", "A100 2/7"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA RTX A6000", "RTX A6000"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
        ("NVIDIA RTX 4000 SFF Ada Generation", "RTX 4000 Ada"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
        ("NVIDIA B200", "B200"),
        ("Tesla T4", "T4"),
        ("cpu", "cpu"),
        ("Somebody's Accelerator", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_class_comes_from_the_name_of_the_device(device: str, name: str) -> None:
    """Names of NVML and ComfyUI lead to a class. A part of a GPU, or one of a laptop, is slower than the whole."""
    assert gpu_class(device).name == name
    assert gpu_class(device).tflops > 0


def test_parts_of_a_gpu_share_its_speed() -> None:
    """Two of seven parts have two sevenths of the speed."""
    whole, part = gpu_class("NVIDIA A100-SXM4-80GB"), gpu_class("NVIDIA A100-SXM4-80GB MIG 2g.20gb")
    assert part.tflops == pytest.approx(whole.tflops * 2 / 7)
    assert gpu_class("NVIDIA GeForce RTX 4090") == REFERENCE


def test_prior_seconds_are_work_over_speed_and_what_any_gpu_needs() -> None:
    """A node takes the time of its operations, and the seconds that do not depend on the GPU."""
    assert prior_seconds(NodeWork("1", "KSampler", tflop=100.0, fixed_s=0.5), UNKNOWN) == 100.0 / UNKNOWN.tflops + 0.5
