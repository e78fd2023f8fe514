"""A pydantic type for fields that may hold a long string."""

from __future__ import annotations

from typing import Annotated

from pydantic import GetCoreSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from worker.bodies.spooled import SpooledText


class _StringOrSpooled:
    """Validates like `str`, with the same messages and JSON Schema, and accepts a SpooledText unchanged."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_keep_spooled, core_schema.str_schema())


def _keep_spooled(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """Validate a string, and return a SpooledText unchanged."""
    return value if isinstance(value, SpooledText) else validate(value)


Content = Annotated[str | SpooledText, _StringOrSpooled]
"""A string of any length, as in `inputs: dict[str, Content]`.

A subclass of `str` would not work: pydantic converts it to `str`.
"""
