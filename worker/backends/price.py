"""The price of a backend's GPU: the operator's own, or that of the platform's price list."""

from __future__ import annotations

from worker.backends.base import GpuPrice
from worker.backends.settings import BackendSettings
from worker.errors import StartupError, UnknownPrice
from worker.prices.price_file import shipped_prices


def price_of(settings: BackendSettings) -> GpuPrice | None:
    """Return the price of a backend, None if neither `usd_hour` nor `gpu` is set, or if there is no price list.

    Raises StartupError for a GPU that the list of the platform does not have.
    """
    if settings.usd_hour is not None:
        return GpuPrice(settings.usd_hour, "the settings of the backend")
    if not settings.gpu:
        return None
    try:
        figure = shipped_prices().gpu(settings.kind, settings.gpu)
    except UnknownPrice as error:
        raise StartupError(f"{settings.name}: {error} Set `usd_hour` of the backend for another price") from None
    return GpuPrice(figure.usd_hour, figure.source, figure.date)
