"""The price table: figures by platform, and the GPU prices among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from worker.errors import UnknownPrice
from worker.prices.fields import GPU, RATES, FigureKey
from worker.prices.figure import Figure, Unit
from worker.prices.gpu_names import price_class
from worker.workflow.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Figures by their place in the file, in its order. A price that is not known is absent."""

    figures: Mapping[FigureKey, Figure]

    def merged(self, figures: Mapping[FigureKey, Figure]) -> Self:
        """Return the table with these figures, which replace those of the same place."""
        return type(self)({**self.figures, **figures})

    def find(self, platform: str, table: str, name: str) -> Figure | None:
        """Return a figure that is not of a GPU, such as `("modal", "cpu", "core")`, or None."""
        return self.figures.get(FigureKey(platform, table, name))

    def figure(self, platform: str, table: str, name: str) -> Figure:
        """Return a figure that is not of a GPU. Raises UnknownPrice."""
        found = self.find(platform, table, name)
        if found is None:
            raise UnknownPrice(f"there is no price [{platform}.{table}] {name}; add it to a price file")
        return found

    def gpus(self, platform: str, rate: str = "") -> tuple[str, ...]:
        """Return the GPUs that have a price on a platform, at this rate or the usual one. Raises UnknownPrice."""
        wanted = _known_rate(platform, rate)
        names = dict.fromkeys(key.gpu for key in self.figures if (key.platform, key.table) == (platform, GPU))
        return tuple(name for name in names if self._price(platform, name, wanted) is not None)

    def gpu(self, platform: str, gpu: str, rate: str = "") -> Figure:
        """Return the price of a GPU at this rate, or at the usual one of the platform (`RATES`).

        Where only a range is published, the price is its middle. Raises UnknownPrice, which names the known GPUs.
        """
        wanted = _known_rate(platform, rate)
        price = self._price(platform, price_class(gpu, platform) or gpu, wanted)
        if price is None:
            raise _unknown_gpu(platform, gpu, wanted, self.gpus(platform, wanted))
        return price

    def gpu_range(self, platform: str, gpu: str, rate: str = "") -> tuple[Figure, Figure]:
        """Return the lowest and the highest price of a GPU, which are equal if no range is published.

        Raises UnknownPrice.
        """
        price = self.gpu(platform, gpu, rate)
        ends = self._ends(platform, price_class(gpu, platform) or gpu, _known_rate(platform, rate))
        prices = sorted((price, *(end for end in ends if end is not None)), key=lambda figure: figure.usd_hour)
        return prices[0], prices[-1]

    def _price(self, platform: str, gpu: str, rate: str) -> Figure | None:
        """Return the published price, else the middle of the published range, else None."""
        price = self.figures.get(FigureKey(platform, GPU, rate, gpu))
        if price is not None:
            return price
        low, high = self._ends(platform, gpu, rate)
        return None if low is None or high is None else middle(low, high)

    def _ends(self, platform: str, gpu: str, rate: str) -> tuple[Figure | None, Figure | None]:
        """Return the ends of the range of a price, as far as they are published."""
        low, high = (self.figures.get(FigureKey(platform, GPU, f"{rate}_{end}", gpu)) for end in ("low", "high"))
        return low, high

    def __iter__(self) -> Iterator[tuple[FigureKey, Figure]]:
        return iter(self.figures.items())


def middle(low: Figure, high: Figure) -> Figure:
    """Return the middle of a range of GPU prices, an hour. It is as old as the older end."""
    dates, sources = (low.date, high.date), dict.fromkeys((low.source, high.source))
    source = f"middle of {low.usd_hour:g} and {high.usd_hour:g} ({'; '.join(sources)})"
    return Figure((low.usd_hour + high.usd_hour) / 2, Unit.GPU_HOUR, source, min(dates) if all(dates) else "")


def _known_rate(platform: str, rate: str) -> str:
    """Return the rate, or the usual one of the platform if it is empty. Raises UnknownPrice."""
    if platform not in RATES:
        raise UnknownPrice(f"there are no prices of {platform!r}. Known: {', '.join(RATES)}.")
    if rate and rate not in RATES[platform]:
        raise UnknownPrice(f"{platform} has no rate {rate!r}. Known: {', '.join(RATES[platform])}.")
    return rate or RATES[platform][0]


def _unknown_gpu(platform: str, gpu: str, rate: str, known: tuple[str, ...]) -> UnknownPrice:
    """Return the error for a GPU without a price. It suggests another name only if this one is not a GPU's."""
    suggestion = "" if price_class(gpu, platform) else did_you_mean(gpu, known) or ""
    message = f"{platform} has no price of {gpu!r}, {rate.replace('_', ' ')}. {suggestion}".rstrip()
    return UnknownPrice(f"{message} Known: {', '.join(known)}.")
