"""Settings of a platform: a frozen dataclass of `worker.settings.setting` fields, read from the environment."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import SecretStr

from worker.settings import parse


class PlatformSettings:
    """Base class of the settings of a platform, for dataclasses."""

    __slots__ = ()
    __dataclass_fields__: typing.ClassVar[dict[str, dataclasses.Field[Any]]]

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in the environment. Raises StartupError, which names a variable with an invalid value."""
        kinds = typing.get_type_hints(cls)
        names = {field.name: field.metadata["env"] for field in dataclasses.fields(cls)}
        values = {name: parse(kinds[name], env, environ[env]) for name, env in names.items() if environ.get(env)}
        return cls(**values)

    @classmethod
    def table(cls) -> Iterator[tuple[str, str, str]]:
        """Yield rows of (environment variable, default, help)."""
        for field in dataclasses.fields(cls):
            default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
            yield field.metadata["env"], str(default), field.metadata["help"]
