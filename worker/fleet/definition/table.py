"""The base of the tables of the fleet file, and the types of their values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
Dollars = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


def key(about: str, default: Any = ...) -> Any:  # noqa: ANN401 - as pydantic.Field is typed
    """Return a field of a table. `about` is its description in the docs. A key without a default is required."""
    return Field(default, description=about)


class Table(BaseModel):
    """Base of all tables. An unknown key and a value of another type are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
