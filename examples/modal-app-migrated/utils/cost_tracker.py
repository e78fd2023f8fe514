"""What the GPU seconds of calls cost."""

import time
from contextlib import contextmanager
from dataclasses import dataclass

# Dollars per GPU hour.
PRICING = {
    "modal": {"T4": 0.59, "L4": 0.80, "A10": 1.10, "L40S": 1.95, "A100-40GB": 2.10, "A100-80GB": 2.50, "H100": 3.95},
    "runpod": {"L4": 0.684, "RTX 4090": 1.116, "L40S": 1.908, "A100-80GB": 2.736, "H100": 4.176},
    # Offers differ: what a machine costs stands in its contract. These are mid prices of docs/prices.md.
    "vast": {"RTX 4090": 0.66, "RTX 5090": 1.00, "A100-80GB": 1.00, "H100": 2.40},
}


@dataclass
class Call:
    """A measured call."""

    gpu_type: str
    seconds: float = 0.0
    usd: float = 0.0


class CostTracker:
    """Adds up the dollars of calls on one platform."""

    def __init__(self, platform="modal"):
        self.platform = platform
        self.calls = []

    def calculate_cost(self, gpu_type, duration_seconds):
        """Return the dollars of a GPU for these seconds."""
        prices = PRICING[self.platform]
        if gpu_type not in prices:
            raise KeyError(f"no price of {gpu_type} on {self.platform}")
        return prices[gpu_type] * duration_seconds / 3600

    @contextmanager
    def measure(self, gpu_type):
        """Measure a call. Its seconds and dollars are known after the block."""
        call = Call(gpu_type)
        start = time.time()
        try:
            yield call
        finally:
            call.seconds = time.time() - start
            call.usd = self.calculate_cost(gpu_type, call.seconds)
            self.calls.append(call)

    @property
    def total_usd(self):
        return sum(call.usd for call in self.calls)
