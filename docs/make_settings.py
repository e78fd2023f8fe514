"""Print `docs/settings.md`: every setting of the worker, by group. `make docs` runs it; a test compares the page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from worker.settings import Settings
from worker.settings.settings import SettingField

HEAD = """# Settings

Configure a worker with environment variables. Each is read once, when the worker starts. An invalid value stops the
start with a message that names the variable.

```console
$ WORKER_MAX_QUEUE=many comfy-worker serve   # exit status 1
…WORKER_MAX_QUEUE='many'…
$ comfy-worker doctor --settings
WORKER_MAX_QUEUE …
```

- `comfy-worker doctor --settings` prints these tables. The most used settings are also options of `comfy-worker serve`
  ([cli.md](cli.md)), and an option takes precedence over its variable.
- Times are seconds and sizes are MiB, unless the name says otherwise. A switch takes `true`, `yes`, `on` or `1`, and
  `false`, `no`, `off` or `0`.
- A variable that is set to nothing counts as not set.
- On Vast, [vast.md](vast.md) lists the variables that the platform sets.

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
}


def page() -> str:
    """Return the page. Raises KeyError for a group of settings that has no title."""
    groups: dict[str, list[SettingField]] = {}
    for setting in Settings.fields_by_name().values():
        groups.setdefault(setting.group, []).append(setting)
    if unknown := groups.keys() - TITLES.keys():
        raise KeyError(f"TITLES lacks {', '.join(sorted(unknown))}")
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
