"""The source of the new app: the team's class names, method names and signatures, on the image of comfy-worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from worker.platforms.modal.migration.app_source import AppClass, AppMethod, AppSource
from worker.platforms.modal.migration.constants import ModalObject
from worker.platforms.modal.migration.file_notes import file_notes
from worker.platforms.modal.migration.image_source import REQUIREMENTS

HEAD = '''"""{name} on the image of comfy-worker. Written by `comfy-worker modal init`; change it as you like.

    COMFY_WORKER_IMAGE=ghcr.io/you/comfy-worker@sha256:... modal deploy app.py

The worker of each container serves the functions in handlers/. `modal_app.py` starts and stops it.
"""

from pathlib import Path

import modal

from modal_app import OPTIONS, Worker, worker_image

HERE = Path(__file__).parent
app = modal.App({quoted})

image = (
    worker_image()
'''


MARGIN_S = 60
"""Seconds between the worker's limit for a job and Modal's limit for a call, so that the worker's error arrives."""
ENDPOINT = 'POST / with {"handler": METHOD, ...}: now with Modal-Key and Modal-Secret; compare the body with your own'
LIFECYCLE = "Worker.start and Worker.stop, instead of its code"
SECRETS = "name the variables that the handlers read in WORKER_HANDLERS_ENV"


def new_app(source: AppSource) -> str:
    """Return the source of the new app."""
    lines = [HEAD.format(name=source.name, quoted=quoted(source.name))]
    if source.image.packages:
        lines.append(f"    .pip_install_from_requirements(str(HERE / {quoted(REQUIREMENTS)}))\n")
    lines += [
        f"    .add_local_dir(HERE / {quoted(folder)}, {quoted(f'/root/{folder}')})\n" for folder in source.folders
    ]
    names = ["modal_app", *(module.removesuffix(".py") for module in source.modules)]
    lines.append(f"    .add_local_python_source({', '.join(map(quoted, names))})\n)\n")
    for entry in source.classes:
        lines += _class(entry)
    return "".join(lines)


def quoted(text: str) -> str:
    """Return the source of a text, in double quotes where possible."""
    return f'"{text}"' if '"' not in text and "\\" not in text else repr(text)


def _class(entry: AppClass) -> Iterator[str]:
    """Yield the lines of a class."""
    yield "\n\n@app.cls(\n    image=image,\n    **{\n        **OPTIONS,\n"
    yield from _options(entry.options)
    yield _environment(entry)
    yield "    },\n)\n"
    if entry.concurrency:
        options = ", ".join(f"{name}={value!r}" for name, value in entry.concurrency.items())
        yield f"@modal.concurrent({options})\n"
    yield f"class {entry.name}(Worker):\n"
    methods = [_method(method) for method in entry.methods]
    methods += [_endpoint(name, entry) for name in entry.endpoints]
    yield "\n".join(methods) if methods else "    pass\n"


def _options(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options of a class. Volumes and secrets are added to those of the worker."""
    for name, value in options.items():
        if name == "secrets":
            yield f'        "secrets": [*OPTIONS["secrets"], {", ".join(map(_value, value))}],\n'
        elif name == "volumes":
            rows = "".join(f"            {quoted(path)}: {_value(volume)},\n" for path, volume in value.items())
            yield f'        "volumes": {{\n            **OPTIONS["volumes"],\n{rows}        }},\n'
        else:
            yield f"        {quoted(name)}: {_value(value)},\n"


def _environment(entry: AppClass) -> str:
    """Return the lines with the settings of the worker that follow from the class, empty if there are none."""
    limits, options = {}, entry.options
    if entry.comfy_port:
        limits["WORKER_HANDLERS_PORT"] = str(entry.comfy_port)
    if "timeout" in options:
        limits["WORKER_JOB_TIMEOUT"] = str(max(1, int(options["timeout"]) - MARGIN_S))
    if start := options.get("startup_timeout") or options.get("timeout"):
        limits["COMFY_WORKER_START"] = str(int(start))
    rows = "".join(f"            {quoted(name)}: {quoted(value)},\n" for name, value in limits.items())
    return f'        "env": {{\n            **OPTIONS["env"],\n{rows}        }},\n' if limits else ""


def _value(value: object) -> str:
    """Return the source of a value."""
    if isinstance(value, ModalObject):
        missing = ", create_if_missing=True" if value.kind == "volume" else ""
        return f"modal.{value.kind.title()}.from_name({quoted(value.name)}{missing})"
    return quoted(value) if isinstance(value, str) else repr(value)


def _method(method: AppMethod) -> str:
    """Return the source of a method, which calls the handler with the same arguments, or raises the problem."""
    head = f"    @modal.method()\n    async def {method.name}({method.parameters}) -> {method.returns}:\n"
    if method.call is None:
        return f"{head}        raise NotImplementedError({quoted(method.problem)})\n"
    arguments = f", {method.call.arguments}" if method.call.arguments else ""
    return f"{head}        return await self.handler({quoted(method.call.handler)}{arguments})\n"


def _endpoint(name: str, entry: AppClass) -> str:
    """Return the source of an endpoint, which takes the names of the methods as those of the handlers."""
    rows = "".join(
        f"            {quoted(each.name)}: {quoted(each.call.handler)},\n" for each in entry.methods if each.call
    )
    return (
        f"    @modal.asgi_app(requires_proxy_auth=True)\n"
        f"    def {name}(self):\n"
        f'        """Serve `POST /` with {{"handler": METHOD, ...}}, for callers with Modal-Key and Modal-Secret."""\n'
        f"        handlers = {{\n{rows}        }}\n"
        f"        return self.json_app(handlers)\n"
    )


def mapping(source: AppSource) -> list[tuple[str, str]]:
    """Return rows of what the app has, and what becomes of it.

    The second text begins with `not mapped` if there is no counterpart, and with `change` if you have to change
    something before the new app works.
    """
    rows = [("modal.App", source.name), ("image", _packages(source)), *source.image.rows]
    for entry in source.classes:
        rows.append((f"class {entry.name}", f"class {entry.name}, with the same containers and options"))
        rows += [(f"{entry.name}.{name}", LIFECYCLE) for name in entry.lifecycle]
        for name, value in entry.options.items():
            shown = f"{_shown(value)}: {SECRETS}" if name == "secrets" else _shown(value)
            rows.append((f"{entry.name}: {name}", shown))
        rows += [(f"{entry.name}: {name}", str(value)) for name, value in entry.concurrency.items()]
        if entry.comfy_port:
            rows.append((f"{entry.name}: port of ComfyUI", f"WORKER_HANDLERS_PORT={entry.comfy_port}"))
        for method in entry.methods:
            target = f"POST /handlers/{method.call.handler}" if method.call else f"not mapped: {method.problem}"
            rows.append((f"{entry.name}.{method.name}", target))
        rows += [(f"{entry.name}.{name}", ENDPOINT) for name in entry.endpoints]
        rows += [(entry.name, f"not mapped: {text}") for text in entry.unmapped]
    return rows + [("app", f"not mapped: {text}") for text in source.unmapped] + file_notes(source)


def _packages(source: AppSource) -> str:
    """Return what becomes of the image."""
    unused = source.image.without_use
    left_out = f", without {', '.join(unused)}" if unused else ""
    return (
        f"comfy-worker, with {REQUIREMENTS} for the handlers: {', '.join(source.image.packages) or 'empty'}{left_out}"
    )


def _shown(value: object) -> str:
    """Return a value for the table."""
    if isinstance(value, ModalObject):
        return value.name
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {_shown(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return str(value)
