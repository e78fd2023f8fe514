"""The OpenAPI document of the worker."""

from worker.api.openapi.document import document

__all__ = ["document"]
