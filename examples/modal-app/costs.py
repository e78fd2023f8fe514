"""The cost of each call in its result."""

from functools import wraps

from config import GPU
from utils.cost_tracker import CostTracker

tracker = CostTracker(platform="modal")


def with_cost(handler):
    """Add the dollars of a call to the result of a handler."""

    @wraps(handler)
    def measured(*args, **kwargs):
        with tracker.measure(GPU) as call:
            result = handler(*args, **kwargs)
        result["cost_usd"] = round(call.usd, 6)
        return result

    return measured
