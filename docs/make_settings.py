"""Print `docs/settings.md`: every setting of the worker, by group. `make docs` runs it; a test compares the page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from worker.settings import Settings
from worker.settings.settings import SettingField

HEAD = """# Settings

Configure a worker with environment variables. The worker reads them once, when it starts. If a value is invalid, the
worker does not start, and the message names the variable.

```console
$ WORKER_MAX_QUEUE=many comfy-worker serve   # exit status 1
…WORKER_MAX_QUEUE='many'…
$ comfy-worker doctor --settings
WORKER_MAX_QUEUE …
```

- `comfy-worker doctor --settings` prints all settings as text.
- Some settings are also options of `comfy-worker serve` ([cli.md](cli.md)). An option takes precedence over its
  variable.
- Times are in seconds. Sizes are in MiB, or in GiB if the name ends with `_GIB`.
- A setting with the default `True` or `False` is a switch. The values `true`, `yes`, `on` and `1` turn it on, and
  `false`, `no`, `off` and `0` turn it off.
- An empty variable has the same effect as one that is not set.
- [vast.md](vast.md#settings) lists further variables for workers on Vast.

This page is generated from `worker/settings/` by `make docs`.
"""

TITLES = {
    "server": "Gateway: address, access and limits of requests",
    "connections": "Connections",
    "": "Worker",
    "engine": "ComfyUI",
    "sandbox": "Sandbox of ComfyUI",
    "limits": "Queue and time limits",
    "inputs": "Input files",
    "fetch": "Files behind URLs",
    "outputs": "Outputs",
    "s3": "S3 buckets",
    "webhooks": "Webhooks",
    "models": "Models",
    "handlers": "Handlers",
}


def page() -> str:
    """Return the page. Raises KeyError for a group of settings that has no title."""
    groups: dict[str, list[SettingField]] = {}
    for setting in Settings.fields_by_name().values():
        groups.setdefault(setting.group, []).append(setting)
    if unknown := groups.keys() - TITLES.keys():
        raise KeyError(f"TITLES has no title for the groups {', '.join(sorted(unknown))}")
    return HEAD + "".join(line for group, title in TITLES.items() for line in _section(title, groups[group]))


def _section(title: str, settings: list[SettingField]) -> Iterator[str]:
    yield f"\n## {title}\n\n| Variable | Default | Meaning |\n|---|---|---|\n"
    for setting in settings:
        metadata = setting.field.metadata
        yield f"| `{metadata['env']}` | {_default(setting.field.default)} | {metadata['help']} |\n"


def _default(value: Any) -> str:  # noqa: ANN401 - the default of any setting
    return f"`{value}`" if value is not None and str(value) else ""


if __name__ == "__main__":
    sys.stdout.write(page())
