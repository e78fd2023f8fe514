"""The offers that Vast's search returns, checked where they enter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from worker.prices.gpu_names import price_class
from worker.prices.offers import Offer

QUERY: Mapping[str, Mapping[str, object]] = {"num_gpus": {"eq": 1}}
"""The search: machines with one GPU. Vast's own search adds that they are verified and can be rented."""
LIMIT = 2000
"""Most offers that are requested. Vast returns fewer if it has a limit of its own."""
MB_PER_GB = 1024


def read_offers(rows: object) -> tuple[Offer, ...]:
    """Return the offers in a list of Vast's JSON. Rows without a GPU or without a price are left out."""
    candidates = rows if isinstance(rows, list) else []
    return tuple(_offers(row for row in candidates if isinstance(row, Mapping)))


def _offers(rows: Iterable[Mapping[str, object]]) -> Iterable[Offer]:
    """Yield the offer of each row that has one. `dph_total` is its price in dollars an hour."""
    for row in rows:
        name, price = str(row.get("gpu_name") or ""), _price(row.get("dph_total"))
        if not name or price is None:
            continue
        memory_mb = _price(row.get("gpu_ram"))
        yield Offer(
            gpu=price_class(name, "vast", memory_mb / MB_PER_GB if memory_mb else None) or name,
            usd_hour=price,
            storage_usd_gb_month=_price(row.get("storage_cost")),
            download_usd_gb=_price(row.get("inet_down_cost")),
            upload_usd_gb=_price(row.get("inet_up_cost")),
        )


def _price(value: object) -> float | None:
    """Return a number of at least 0, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)
