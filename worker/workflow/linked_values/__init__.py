"""Values that links carry, computed before anything runs."""

from worker.workflow.linked_values.evaluation import LinkedValues, link_of

__all__ = ["LinkedValues", "link_of"]
