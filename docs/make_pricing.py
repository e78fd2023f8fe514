"""Write the prices of GPUs into `worker/handlers/comfy_compat.py`. `make docs` runs it; a test compares the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from worker.handlers import comfy_compat
from worker.prices.price_file import shipped_prices

FILE = Path(comfy_compat.__file__)
START = '# Written by docs/make_pricing.py from worker/prices.\nPRICES = """\n'
END = '"""\n\n\nclass CostTracker'
PLATFORMS = ("modal", "runpod", "vast")
LONGEST_LINE = 116


def rows() -> Iterator[str]:
    """Yield lines of a platform and its prices, in dollars per GPU hour at the usual rate."""
    table = shipped_prices()
    for platform in PLATFORMS:
        line = platform
        for gpu in table.gpus(platform):
            price = f" {gpu.replace(' ', '-')}={table.gpu(platform, gpu).usd_hour:.4g}"
            if len(line + price) > LONGEST_LINE:
                yield line
                line = platform
            line += price
        yield line


def with_prices(source: str) -> str:
    """Return the source of the module with the present prices."""
    head, rest = source.split(START)
    return head + START + "".join(f"{row}\n" for row in rows()) + END + rest.split(END)[1]


if __name__ == "__main__":
    FILE.write_text(with_prices(FILE.read_text("utf-8")), "utf-8")
