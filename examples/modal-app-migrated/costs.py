"""The cost of each call in its result."""

from functools import wraps

from utils.cost_tracker import CostTracker

tracker = CostTracker(platform="vast")
GPU = "RTX 4090"  # of the machines that you rent; on Modal, the platform and the GPU are the old ones


def with_cost(handler):
    """Add the dollars of a call to the result of a handler."""

    @wraps(handler)
    def measured(*args, **kwargs):
        with tracker.measure(GPU) as call:
            result = handler(*args, **kwargs)
        result["cost_usd"] = round(call.usd, 6)
        return result

    return measured
