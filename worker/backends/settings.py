"""The address of a backend and what else is needed to open it, as an operator writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from worker.errors import StartupError

KEY_VARIABLES: Mapping[str, str] = {
    "http": "COMFY_WORKER_TOKEN",
    "vast": "VAST_API_KEY",
    "runpod": "RUNPOD_API_KEY",
    "modal": "",
    "local": "",
}
"""Environment variable with the key of a backend, by its kind. Modal's client reads its own variables."""
FORMS = "http://HOST:PORT, https://HOST, vast://ENDPOINT, runpod://ENDPOINT_ID, modal://APP/CLASS, local:"
NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """A backend as an operator describes it.

    - `url` has one of the forms in FORMS.
    - `key` is the operator's key for it: a token of the worker, or an API key of the platform.
    - `api_url` is the address of the platform's API, such as that of a local stand-in. Empty means the platform's own.
    - `gpu` is the name of its GPU, for prices of the platform. `usd_hour` is a price that takes precedence.
    """

    name: str
    url: str
    key: SecretStr | None = field(default=None, repr=False)
    api_url: str = ""
    gpu: str = ""
    usd_hour: float | None = None
    state: Path = Path(".state")
    """Folder for a worker that is started here."""

    @property
    def kind(self) -> str:
        """Kind of the backend, by the scheme of its URL. Raises StartupError for an unknown one."""
        return kind_of(self.url)

    @property
    def target(self) -> str:
        """The part of the URL after the scheme: the endpoint of `vast://comfy`, or `app/Class` of `modal://app/Class`."""
        parts = urlsplit(self.url)
        return f"{parts.netloc}{parts.path}".strip("/")

    def options(self, *known: str) -> Mapping[str, str]:
        """Return the options in the query of the URL. Raises StartupError for one that is not known."""
        values = {name: values[-1] for name, values in parse_qs(urlsplit(self.url).query).items()}
        if unknown := sorted(values.keys() - set(known)):
            options = ", ".join(known) or "none"
            raise StartupError(f"{self.name}: {self.kind} has no option {unknown[0]!r}. It has: {options}")
        return values


def number_option(options: Mapping[str, str], name: str, default: float) -> float:
    """Return an option that is a number. Raises StartupError for any other text."""
    text = options.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise StartupError(f"the option {name}={text!r} of a backend is to be a number of seconds") from None


def kind_of(url: str) -> str:
    """Return the kind of the backend at a URL. Raises StartupError, which lists the forms of URLs."""
    parts = urlsplit(url)
    kind = {"https": "http"}.get(parts.scheme, parts.scheme)
    if kind not in KEY_VARIABLES or (kind != "local" and not parts.netloc):
        raise StartupError(f"{url!r} is no backend. A backend is one of {FORMS}")
    return kind


def key_of(url: str, environ: Mapping[str, str], variable: str = "", file: Path | None = None) -> SecretStr | None:
    """Return the key of a backend from a file or a variable, by default the one in KEY_VARIABLES.

    Returns None if there is none. Raises StartupError for a file that cannot be read, and for an explicit variable
    that is not set. No message contains a key.
    """
    if file is not None:
        try:
            return SecretStr(file.read_text().strip())
        except OSError as error:
            raise StartupError(f"the key of {url} cannot be read from {file}: {error.strerror}") from None
    name = variable or KEY_VARIABLES[kind_of(url)]
    key = environ.get(name, "").strip() if name else ""
    if variable and not key:
        raise StartupError(f"the key of {url} is to be in {variable}, which is not set")
    return SecretStr(key) if key else None
