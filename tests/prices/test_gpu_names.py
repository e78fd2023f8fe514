"""The names of GPUs, and those under which the price table has them."""

from __future__ import annotations

import pytest

from worker.fleet.plan.warnings import GPUS
from worker.prices.gpu_names import price_class
from worker.prices.price_file import load_prices


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("RTX 4090", "RTX 4090"),
        ("rtx-4090", "RTX 4090"),
        ("RTX_4090", "RTX 4090"),
        ("rtx4090", "RTX 4090"),
        ("4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("RTX 4090D", "RTX 4090 D"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "RTX 4090 Laptop"),
        ("RTX 6000Ada", "RTX 6000 Ada"),
        ("6000 Ada", "RTX 6000 Ada"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
        ("RTX PRO 6000 WS", "RTX PRO 6000"),
        ("RTX-PRO-6000", "RTX PRO 6000"),
        ("A6000", "RTX A6000"),
        ("A4500", "RTX A4500"),
        ("RTX 4070S Ti", "RTX 4070 Ti SUPER"),
        ("H100!", "H100"),
        ("H100 NVL", "H100"),
        ("H100 PCIE", "H100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("B200+", "B200"),
        ("A100", "A100 80GB"),
        ("A100 SXM4", "A100 80GB"),
        ("A100-80GB", "A100 80GB"),
        ("A100-40GB", "A100 40GB"),
        ("NVIDIA A100-PCIE-40GB", "A100 40GB"),
        ("NVIDIA A100-SXM4-40GB MIG 2g.10gb", "A100 2/7"),
        ("Tesla T4", "T4"),
        ("cpu", None),
        ("Somebody's Accelerator", None),
        ("", None),
    ],
)
def test_names_lead_to_the_class_of_the_price(name: str, wanted: str | None) -> None:
    """Names of drivers, people, Vast and Modal lead to one name."""
    assert price_class(name) == wanted


@pytest.mark.parametrize(
    ("platform", "name", "wanted"),
    [
        ("modal", "A100", "A100 40GB"),
        ("runpod", "A100", "A100 80GB"),
        ("vast", "A100", "A100 80GB"),
        ("runpod", "ADA_24", "RTX 4090"),
        ("runpod", "AMPERE_80", "A100 80GB"),
        ("runpod", "HOPPER_141", "H200"),
        ("vast", "ADA_24", None),
    ],
)
def test_a_name_can_mean_something_else_on_a_platform(platform: str, name: str, wanted: str | None) -> None:
    """Modal's A100 has 40 GB, and only RunPod has pools."""
    assert price_class(name, platform) == wanted


def test_the_memory_tells_the_two_a100_apart() -> None:
    """Vast names both `A100 SXM4`, and its offers have the memory."""
    assert price_class("A100 SXM4", "vast", 40.5) == "A100 40GB"
    assert price_class("A100 SXM4", "vast", 81.9) == "A100 80GB"


@pytest.mark.parametrize("gpu", GPUS)
def test_every_name_of_vast_that_the_worker_knows_has_a_class(gpu: str) -> None:
    """No name of Vast that `deploy plan` knows is unknown here, except those of GPUs without a class of speed."""
    without = {"RTX PRO 4000", "RTX PRO 4500", "RTX PRO 5000"}
    assert (price_class(gpu, "vast") is None) == (gpu in without)


@pytest.mark.parametrize("platform", ["vast", "runpod", "modal"])
def test_the_names_of_the_table_lead_to_themselves(platform: str) -> None:
    """Each GPU of the shipped table is found under its own name."""
    names = {key.gpu for key, _ in load_prices() if key.platform == platform and key.gpu}
    assert names
    assert {price_class(name, platform) for name in names} == names
