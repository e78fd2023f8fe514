"""Every setting, read once from the environment into one frozen object; the table that `--help` and the docs print."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from worker.settings.connections import ConnectionSettings
from worker.settings.engine import ComfySettings
from worker.settings.environment import environment
from worker.settings.fetch import FetchSettings
from worker.settings.inputs import InputSettings
from worker.settings.limits import LimitSettings
from worker.settings.models import ModelSettings
from worker.settings.outputs import OutputSettings
from worker.settings.s3 import S3Settings
from worker.settings.sandbox import SandboxSettings
from worker.settings.server import ServerSettings
from worker.settings.setting import parse, setting
from worker.settings.webhooks import WebhookSettings


class SettingField(NamedTuple):
    """Where a setting is: the group's name, empty for the top, and its field there."""

    group: str
    field: dataclasses.Field[Any]
    kind: Any


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations are seconds, sizes MiB. Nothing in here changes after the start.

    A part of the worker takes its own group. The command line and tests name settings without their groups: `of`,
    `replaced` and `from_env` take those flat names.
    """

    server: ServerSettings = dataclasses.field(default_factory=ServerSettings)
    connections: ConnectionSettings = dataclasses.field(default_factory=ConnectionSettings)
    engine: ComfySettings = dataclasses.field(default_factory=ComfySettings)
    sandbox: SandboxSettings = dataclasses.field(default_factory=SandboxSettings)
    limits: LimitSettings = dataclasses.field(default_factory=LimitSettings)
    inputs: InputSettings = dataclasses.field(default_factory=InputSettings)
    fetch: FetchSettings = dataclasses.field(default_factory=FetchSettings)
    outputs: OutputSettings = dataclasses.field(default_factory=OutputSettings)
    s3: S3Settings = dataclasses.field(default_factory=S3Settings)
    webhooks: WebhookSettings = dataclasses.field(default_factory=WebhookSettings)
    models: ModelSettings = dataclasses.field(default_factory=ModelSettings)
    platform: str = setting(
        "WORKER_PLATFORM",
        "none",
        "none, vast, vast-local (Vast's router played on this machine), or auto: vast where its variables are set",
    )
    templates: str = setting(
        "WORKER_TEMPLATES", "shipped", "folders of templates between commas, a later one wins; `shipped`: our own"
    )
    restarts: int = setting(
        "WORKER_RESTARTS", 0, "how often in a row a parent process starts a worker again that died; 0: no parent"
    )
    state: Path = setting("WORKER_STATE", Path(".state"), "folder for everything the worker writes")
    log_level: str = setting("WORKER_LOG_LEVEL", "info", "debug, info, warning or error")

    def __post_init__(self) -> None:
        """Make the state folder's path absolute: it stays the same whatever becomes of the working directory."""
        object.__setattr__(self, "state", self.state.absolute())

    @classmethod
    def of(cls, **flat: Any) -> Self:  # noqa: ANN401 - any setting, by name
        """Build settings from flat names; the rest has its defaults."""
        return cls().replaced(**flat)

    def replaced(self, **flat: Any) -> Self:  # noqa: ANN401 - any setting, by name
        """Return a copy with these settings, by their flat names. Raises TypeError for an unknown name."""
        places = self.fields_by_name()
        if unknown := flat.keys() - places.keys():
            raise TypeError(f"no setting has the name {', '.join(sorted(unknown))}")
        values: dict[str, dict[str, Any]] = {}
        for name, value in flat.items():
            values.setdefault(places[name].group, {})[places[name].field.name] = value
        own = values.pop("", {})
        groups = {group: dataclasses.replace(getattr(self, group), **changed) for group, changed in values.items()}
        return dataclasses.replace(self, **own, **groups)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **flat: Any) -> Self:  # noqa: ANN401 - any setting, by name
        """Read every setting. A value in `flat` (from the command line) wins unless it is None.

        Raises StartupError naming the variable.
        """
        environ = environment() if environ is None else environ
        values = {name: value for name, value in flat.items() if value is not None}
        for name, place in cls.fields_by_name().items():
            names = (place.field.metadata["env"], *place.field.metadata["also"])
            env = next((name for name in names if environ.get(name)), None)
            if env and name not in values:
                values[name] = parse(place.kind, env, environ[env])
        return cls.of(**values)

    @classmethod
    def fields_by_name(cls) -> dict[str, SettingField]:
        """Return the place of every setting by its flat name."""
        return {place.field.metadata["flat"] or place.field.name: place for place in _places(cls)}

    @classmethod
    def table(cls) -> Iterator[tuple[str, str, str]]:
        """Yield rows of (environment variable, default, help)."""
        for _, field, _ in _places(cls):
            default = "" if field.default is None else str(field.default)
            yield field.metadata["env"], default, field.metadata["help"]


def _places(kind: type[Any], group: str = "") -> Iterator[SettingField]:
    kinds = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if "env" in field.metadata:
            yield SettingField(group, field, kinds[field.name])
        else:
            yield from _places(kinds[field.name], field.name)
