"""Offers of a marketplace: their prices by GPU, and the figures that they give to a price table."""

from __future__ import annotations

import datetime
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from worker.prices.fields import GPU, FigureKey
from worker.prices.figure import Figure, Unit


@dataclass(frozen=True, slots=True)
class Offer:
    """One machine with one GPU that can be rented now. Prices are US dollars, and None where the offer has none."""

    gpu: str
    """Name of the GPU in the price table, or the marketplace's name for a GPU that the table cannot have."""
    usd_hour: float
    storage_usd_gb_month: float | None = None
    download_usd_gb: float | None = None
    upload_usd_gb: float | None = None


@dataclass(frozen=True, slots=True)
class OfferSummary:
    """The offers with one GPU: their number, and median and quartiles of their prices in US dollars an hour.

    The prices of storage (GB and month) and of traffic (GB) are medians, and None if no offer has one.
    """

    gpu: str
    count: int
    lower_quartile: float
    median: float
    upper_quartile: float
    storage_usd_gb_month: float | None
    download_usd_gb: float | None
    upload_usd_gb: float | None


def summarize(offers: Iterable[Offer]) -> tuple[OfferSummary, ...]:
    """Return a summary for each GPU, the cheapest one first."""
    by_gpu: dict[str, list[Offer]] = defaultdict(list)
    for offer in offers:
        by_gpu[offer.gpu].append(offer)
    summaries = [_summary(gpu, rows) for gpu, rows in by_gpu.items()]
    return tuple(sorted(summaries, key=lambda summary: (summary.median, summary.gpu)))


def live_figures(offers: Iterable[Offer], today: datetime.date) -> dict[FigureKey, Figure]:
    """Return the prices of these offers at Vast as figures of today, for `PriceTable.merged`.

    A GPU has its median as the price, and the quartiles as the range. Storage and traffic have the median of all
    offers.
    """
    rows = tuple(offers)
    figures: dict[FigureKey, Figure] = {}
    for summary in summarize(rows):
        source = f"Vast's offers, {summary.count}"
        for name, amount in (
            ("on_demand_low", summary.lower_quartile),
            ("on_demand", summary.median),
            ("on_demand_high", summary.upper_quartile),
        ):
            key = FigureKey("vast", GPU, name, summary.gpu)
            figures[key] = Figure(amount, Unit.GPU_HOUR, source, today.isoformat())
    for table, name, unit, price in (
        ("storage", "running", Unit.GB_MONTH, _median(row.storage_usd_gb_month for row in rows)),
        ("traffic", "download", Unit.GB_MOVED, _median(row.download_usd_gb for row in rows)),
        ("traffic", "upload", Unit.GB_MOVED, _median(row.upload_usd_gb for row in rows)),
    ):
        if price is not None:
            figures[FigureKey("vast", table, name)] = Figure(
                price, unit, f"Vast's offers, median of {len(rows)}", today.isoformat()
            )
    return figures


def _summary(gpu: str, offers: list[Offer]) -> OfferSummary:
    """Return the summary of at least one offer."""
    prices = [offer.usd_hour for offer in offers]
    # A quartile needs two values.
    lower, median, upper = statistics.quantiles(prices * 2 if len(prices) == 1 else prices, n=4, method="inclusive")
    return OfferSummary(
        gpu=gpu,
        count=len(prices),
        lower_quartile=lower,
        median=median,
        upper_quartile=upper,
        storage_usd_gb_month=_median(offer.storage_usd_gb_month for offer in offers),
        download_usd_gb=_median(offer.download_usd_gb for offer in offers),
        upload_usd_gb=_median(offer.upload_usd_gb for offer in offers),
    )


def _median(prices: Iterable[float | None]) -> float | None:
    """Return the median of the known prices, or None without any."""
    known = [price for price in prices if price is not None]
    return statistics.median(known) if known else None
