"""Reading `proxy.toml`: the result is a ProxyConfig, or one error with all problems of the file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from worker.backends.settings import NAME, kind_of
from worker.errors import ConfigProblem, ProxyConfigError, StartupError
from worker.proxy.config.contradictions import contradictions
from worker.proxy.config.positions import line_of
from worker.proxy.config.tables import TABLES, ProxyConfig
from worker.workflow.nearest import did_you_mean

KEY_NAMES = re.compile(r"(api_?)?(key|token|secret|password)", re.IGNORECASE)
MESSAGES = {
    "missing": "missing",
    "model_type": "has to be a table",
    "dict_type": "has to be a table",
    "tuple_type": "has to be a list",
    "too_short": "is empty",
}
"""Messages by pydantic's type of error, where its own has words of Python. Others are pydantic's."""


def load_config(file: Path) -> ProxyConfig:
    """Return the configuration in a file. Raises ProxyConfigError with every problem of it."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ProxyConfigError(str(file), [ConfigProblem(f"cannot be read: {reason}")]) from None
    return read_config(text, str(file))


def read_config(text: str, file: str = "proxy.toml") -> ProxyConfig:
    """Return the configuration in the text of a file. Raises ProxyConfigError with every problem of it."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProxyConfigError(file, [ConfigProblem(str(error), key="TOML")]) from None
    try:
        config = ProxyConfig.model_validate(raw)
    except ValidationError as error:
        # Not `from error`: it quotes the values.
        problems = [_problem_of(details) for details in _without_consequences(error)]
        raise ProxyConfigError(file, _with_lines(text, problems)) from None
    if problems := list(contradictions(config)):
        raise ProxyConfigError(file, _with_lines(text, problems))
    return config


def config_of_urls(urls: Iterable[str]) -> ProxyConfig:
    """Return the configuration with backends at these URLs. Each may have a name before it: `NAME=URL`.

    A backend without a name gets that of its kind, such as `http` or `vast-2`. Raises StartupError for text that is no
    URL of a backend, and for two backends with the same name.
    """
    backends: list[dict[str, str]] = []
    for text in urls:
        name, separator, url = text.partition("=")
        if not separator or not NAME.fullmatch(name):
            name, url = "", text
        kind = kind_of(url)
        taken = {backend["name"] for backend in backends}
        if name in taken:
            raise StartupError(f"two backends have the name {name!r}: write another name before one of the URLs")
        names = (kind if number == 1 else f"{kind}-{number}" for number in range(1, len(backends) + 2))
        backends.append({"name": name or next(free for free in names if free not in taken), "url": url})
    config = ProxyConfig.model_validate({"backends": backends})
    if problems := list(contradictions(config)):
        raise ProxyConfigError("--backend", problems)
    return config


def with_options(
    config: ProxyConfig, host: str | None = None, port: int | None = None, state: Path | None = None
) -> ProxyConfig:
    """Return the configuration with other values of `[server]`, where they are not None. Raises ProxyConfigError."""
    options = {"host": host, "port": port, "state": state}
    chosen = {name: value for name, value in options.items() if value is not None}
    changed = config.model_copy(update={"server": config.server.model_copy(update=chosen)})
    if problems := list(contradictions(changed)):
        raise ProxyConfigError("options", problems)
    return changed


def _with_lines(text: str, problems: Iterable[ConfigProblem]) -> list[ConfigProblem]:
    """Return the problems with their lines in the file, in the order of these."""
    placed = [problem.at(line_of(text, problem.table, problem.index, problem.key)) for problem in problems]
    return sorted(placed, key=lambda problem: problem.line or 0)


def _without_consequences(error: ValidationError) -> list[ErrorDetails]:
    """Return pydantic's errors, without those about a list that is too short only because its items are invalid."""
    errors = error.errors(include_input=False, include_url=False)
    places = {details["loc"][:length] for details in errors for length in range(len(details["loc"]))}
    return [details for details in errors if details["type"] != "too_short" or details["loc"] not in places]


def _problem_of(error: ErrorDetails) -> ConfigProblem:
    """Return one of pydantic's errors as a problem of the file: its table, its key and a message."""
    path = [part for part in error["loc"] if part != "[key]"]
    table = str(path.pop(0)) if len(path) > 1 else ""
    index = int(path.pop(0)) if path and isinstance(path[0], int) else None
    key = str(path[0]) if path else ""
    fields = TABLES[table].model_fields if table in TABLES else {}
    if error["type"] == "extra_forbidden":
        return ConfigProblem(_unknown(key, fields), table, key, index)
    about = fields[key].description if key in fields else None
    message = MESSAGES.get(error["type"], f"{error['msg'][:1].lower()}{error['msg'][1:]}")
    return ConfigProblem(f"{message}; {about}" if about else message, table, key, index)


def _unknown(key: str, fields: Mapping[str, object]) -> str:
    """Return the message about an unknown key, with the nearest known one."""
    if KEY_NAMES.fullmatch(key):
        secret = "key_sha256" if "key_sha256" in fields else "key_env or key_file"
        return f"unknown key. The file must not have secrets; write {secret}"
    return f"unknown key. {did_you_mean(key, fields) or 'Known: ' + ', '.join(fields) + '.'}"
