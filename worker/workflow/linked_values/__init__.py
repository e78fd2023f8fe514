"""Computes the values that links carry before the prompt runs."""

from worker.workflow.linked_values.evaluation import WRAPPED, LinkedValues, link_of

__all__ = ["WRAPPED", "LinkedValues", "link_of"]
