"""All settings, read once from the environment into one frozen object, and the table for the docs."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from worker.settings.compatibility.unresolved import check_secrets
from worker.settings.compatibility.worker_comfyui import implied_values
from worker.settings.connections import ConnectionSettings
from worker.settings.engine import ComfySettings
from worker.settings.environment import environment
from worker.settings.fetch import FetchSettings
from worker.settings.handlers.settings import HandlerSettings
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
    """One setting: its group (empty at the top level), its dataclass field and its type."""

    group: str
    field: dataclasses.Field[Any]
    kind: Any


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, in groups. They do not change after the start.

    Each part of the worker gets its own group. The command line and tests use flat names, without the group: `of`,
    `replaced` and `from_env` take those.
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
    handlers: HandlerSettings = dataclasses.field(default_factory=HandlerSettings)
    platform: str = setting(
        "WORKER_PLATFORM",
        "none",
        "Platform: none, vast, vast-local (a simulation of Vast's router on this machine), modal, "
        "runpod, or auto (the one whose variables are set).",
    )
    templates: str = setting(
        "WORKER_TEMPLATES",
        "shipped",
        "Folders of templates, separated by commas. `shipped` means the templates of this package. If two "
        "templates have the same name, the later folder is used.",
    )
    restarts: int = setting(
        "WORKER_RESTARTS",
        0,
        "Maximum number of times in a row that a parent process restarts a crashed worker. 0 means no parent process.",
    )
    state: Path = setting("WORKER_STATE", Path(".state"), "Folder for all files that the worker writes.")
    load_priors: Path | None = setting(
        "WORKER_LOAD_PRIORS",
        None,
        "File of `comfy-worker load export`, such as one in the image: what other machines with this GPU have learned "
        "about the seconds of jobs.",
    )
    arrivals_log: bool = setting(
        "WORKER_ARRIVALS_LOG",
        True,
        "Whether the worker appends a line for each job that ran to `arrivals.csv` in its state folder, from which "
        "`comfy-worker fleet trace` makes a trace. It is on by default because a fleet can be planned only with a "
        "history, and because the file is harmless: it has times, units and seconds, no prompts, names or files, and "
        "at most 32 MiB.",
    )
    usd_hour: float = setting(
        "WORKER_USD_HOUR",
        0.0,
        "Price of one GPU of this machine in US dollars an hour. If it is set, the metadata of a result have the price "
        "of the GPU's time as `gpu_usd`. It is not what the platform bills.",
    )
    log_level: str = setting(
        "WORKER_LOG_LEVEL",
        "info",
        "Lowest level of the messages in the log: debug, info, warning or error.",
        "COMFY_LOG_LEVEL",
    )

    def __post_init__(self) -> None:
        """Make the path of the state folder absolute, so that a change of the working directory does not move it."""
        object.__setattr__(self, "state", self.state.absolute())  # the class is frozen

    @classmethod
    def of(cls, **flat: Any) -> Self:  # noqa: ANN401 - any setting, by name
        """Return settings with these values, by flat name. All others have their defaults."""
        return cls().replaced(**flat)

    def replaced(self, **flat: Any) -> Self:  # noqa: ANN401 - any setting, by name
        """Return a copy with these values, by flat name. Raises TypeError for an unknown name."""
        fields = self.fields_by_name()
        unknown = flat.keys() - fields.keys()
        if unknown:
            raise TypeError(f"no setting has the name {', '.join(sorted(unknown))}")
        values_by_group: dict[str, dict[str, Any]] = {}
        for name, value in flat.items():
            values_by_group.setdefault(fields[name].group, {})[fields[name].field.name] = value
        top_level = values_by_group.pop("", {})
        groups = {
            group: dataclasses.replace(getattr(self, group), **values) for group, values in values_by_group.items()
        }
        return dataclasses.replace(self, **top_level, **groups)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **flat: Any) -> Self:  # noqa: ANN401 - any setting, by name
        """Read all settings from `environ`, or from the environment of this process.

        A value in `flat`, which comes from the command line, takes precedence unless it is None. Raises StartupError
        with the name of the variable for a value that cannot be parsed or used, and for one in which RunPod did not
        replace the placeholder of a secret.
        """
        environ = environment() if environ is None else environ
        check_secrets(environ)
        values = {name: value for name, value in flat.items() if value is not None}
        for name, entry in cls.fields_by_name().items():
            variables = (entry.field.metadata["env"], *entry.field.metadata["also"])
            variable = next((variable for variable in variables if environ.get(variable)), None)
            if variable and name not in values:
                values[name] = parse(entry.kind, variable, environ[variable])
        return cls.of(**implied_values(values))

    @classmethod
    def fields_by_name(cls) -> dict[str, SettingField]:
        """Return the field of every setting, by flat name."""
        return {entry.field.metadata["flat"] or entry.field.name: entry for entry in _setting_fields(cls)}

    @classmethod
    def table(cls) -> Iterator[tuple[str, str, str]]:
        """Yield (environment variable, default, help text) of every setting."""
        for entry in _setting_fields(cls):
            default = "" if entry.field.default is None else str(entry.field.default)
            yield entry.field.metadata["env"], default, entry.field.metadata["help"]


def _setting_fields(settings_class: type[Any], group: str = "") -> Iterator[SettingField]:
    """Yield all settings of a class and of the groups in it. `group` is the name of the class's own group."""
    field_types = typing.get_type_hints(settings_class)
    for field in dataclasses.fields(settings_class):
        if "env" in field.metadata:
            yield SettingField(group, field, field_types[field.name])
        else:
            yield from _setting_fields(field_types[field.name], field.name)  # a group
