"""The shipped prices, and how they are looked up."""

from __future__ import annotations

import pytest

from worker.errors import UnknownPrice
from worker.prices.fields import FigureKey
from worker.prices.figure import Figure, Unit
from worker.prices.price_file import load_prices
from worker.prices.table import PriceTable

TABLE = load_prices()


@pytest.mark.parametrize(
    ("platform", "gpu", "rate", "usd_hour"),
    [
        ("vast", "H100", "", 2.40),
        ("vast", "RTX 3090", "interruptible", 0.18),
        ("runpod", "rtx-4090", "", 1.116),
        ("runpod", "RTX 3090", "active", 0.468),
        ("modal", "L40S", "", 1.9512),
        ("modal", "A100", "", 2.0988),
        ("modal", "A100-80GB", "list", 2.4984),
    ],
)
def test_a_gpu_has_a_price(platform: str, gpu: str, rate: str, usd_hour: float) -> None:
    """A price is found by any name of the GPU, at the usual rate or the one that is named."""
    assert TABLE.gpu(platform, gpu, rate).usd_hour == pytest.approx(usd_hour)


def test_a_range_has_its_middle_as_its_price() -> None:
    """The price of a 4090 at Vast is published as 0.43 and 0.88: 0.655, as old as the older one."""
    price = TABLE.gpu("vast", "RTX 4090")
    assert (price.amount, price.unit, price.date) == (pytest.approx(0.655), Unit.GPU_HOUR, "2026-05")
    assert price.source.startswith("middle of 0.43 and 0.88 (Vast docs")
    low, high = TABLE.gpu_range("vast", "RTX 4090")
    assert (low.amount, high.amount) == (0.43, 0.88)


def test_a_single_price_is_a_range_of_its_own() -> None:
    """Without a range, the lowest and the highest price are the price itself."""
    low, high = TABLE.gpu_range("modal", "L4")
    assert low == high == TABLE.gpu("modal", "L4")


def test_a_price_outside_the_range_widens_it() -> None:
    """An own price below the published range is the lowest one."""
    own = Figure(0.30, Unit.GPU_HOUR, "our contract", "2026-11-01")
    low, high = TABLE.merged({FigureKey("vast", "gpu", "on_demand", "RTX 4090"): own}).gpu_range("vast", "RTX 4090")
    assert (low, high.amount) == (own, 0.88)


def test_a_middle_without_a_date_has_none() -> None:
    """The middle of a range is undated if one of its ends is."""
    assert TABLE.gpu("vast", "RTX 3090").date == ""


@pytest.mark.parametrize(
    ("platform", "gpu", "rate", "message"),
    [
        ("vast", "L40S", "", r"vast has no price of 'L40S', on demand. Known: RTX 3090, RTX 4090, RTX 5090"),
        ("runpod", "RTX 5090", "", r"runpod has no price of 'RTX 5090', flex. Known: RTX A4000"),
        ("modal", "RTX 4090", "", r"modal has no price of 'RTX 4090', list. Known: T4, L4, A10, L40S, A100 40GB"),
        (
            "runpod",
            "RTX 409O",
            "",
            r"runpod has no price of 'RTX 409O', flex. Did you mean 'RTX 4090'\? Known: RTX A4000",
        ),
        ("vast", "RTX 4090", "spot", r"vast has no rate 'spot'. Known: on_demand, interruptible"),
        ("aws", "L4", "", r"no prices of 'aws'. Known: vast, runpod, modal"),
    ],
)
def test_a_missing_price_is_an_error_that_names_what_is_known(platform: str, gpu: str, rate: str, message: str) -> None:
    """No price is invented: the error names the GPUs, rates or platforms that have one."""
    with pytest.raises(UnknownPrice, match=message) as caught:
        TABLE.gpu(platform, gpu, rate)
    assert caught.value.code == "price_unknown"


def test_a_missing_figure_is_an_error() -> None:
    """A figure that is needed and not in the table is named with its place."""
    with pytest.raises(UnknownPrice, match=r"\[modal\.cpu\] core"):
        PriceTable({}).figure("modal", "cpu", "core")
    assert TABLE.find("vast", "storage", "running") is None


def test_every_shipped_figure_has_a_source() -> None:
    """Each figure has a source, and one date or none."""
    assert len(list(TABLE)) == 75
    assert all(figure.source for _, figure in TABLE)
    assert {figure.date for key, figure in TABLE if key.platform == "runpod" and key.name != "active"} == {"2026-08-20"}
