"""Writes the generated files of clients/typescript: the schemas of the API, and the types of the templates.

`npm run generate` makes `src/generated/api.ts` from the schemas.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from worker.api.server import openapi
from worker.workflow.templates.library import read_library
from worker.workflow.templates.schema import params_schema
from worker.workflow.templates.template import Template

PACKAGE = Path(__file__).parents[1] / "clients" / "typescript"
SCHEMAS = PACKAGE / "openapi.json"
TEMPLATES = PACKAGE / "src" / "generated" / "templates.ts"
REF = "#/components/schemas/"
ROOTS = (
    *("NativeRequest", "NativeResult", "Error", "Pending", "Cancelled", "Report", "TemplateList"),
    *("TemplateDescription", "AcceptedEvent", "StateEvent", "NodeEvent", "StepEvent", "PreviewEvent"),
    *("RunpodRequest", "RunpodStatus", "RunpodHealth"),
)
"""Schemas that the client uses. Those that they refer to are included."""
HEAD = """\
// Written by docs/make_typescript.py (`make docs`) from the templates in workflows/.

/** Content of a file: its bytes, or a URL, a data URI, base64, or the name of a file in `files` or `inputs`. */
export type FileValue = string | Blob | Uint8Array;

/** The parameters of the templates that the worker includes, by the name of the template. */
export interface TemplateParams {
"""


def main() -> None:
    """Write both files."""
    SCHEMAS.write_text(schemas(), "utf-8")
    TEMPLATES.write_text(templates(), "utf-8")


def schemas() -> str:
    """Return an OpenAPI document with the schemas that the client uses, and without routes."""
    document = openapi()
    found = document["components"]["schemas"]
    names = list(ROOTS)
    for name in names:
        names += [reference for reference in _references(found[name]) if reference not in names]
    return (
        json.dumps(
            {
                "openapi": document["openapi"],
                "info": {"title": "comfy-worker", "version": "0"},
                "paths": {},
                "components": {"schemas": {name: _plain(found[name]) for name in sorted(names)}},
            },
            indent=1,
        )
        + "\n"
    )


def _references(schema: object) -> Iterator[str]:
    """Yield the names of the schemas that a schema refers to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(REF)
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _plain(schema: Any, *, names_fields: bool = False) -> Any:  # noqa: ANN401 - JSON
    """Return a schema without titles and without defaults of null, which say nothing in comments.

    With `names_fields`, the keys are names of fields, which stay.
    """
    if isinstance(schema, list):
        return [_plain(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(inner, names_fields=key == "properties" and not names_fields)
        for key, inner in schema.items()
        if names_fields or not (key == "title" or (key == "default" and inner is None))
    }


def templates() -> str:
    """Return the TypeScript file with the parameters of each template."""
    return HEAD + "".join(_template(template) for template in read_library("shipped").values()) + "}\n"


def _template(template: Template) -> str:
    """Return the field of one template."""
    schema = params_schema(template)
    return (
        f'  /** {schema["title"]}. {schema.get("description", "")} */\n  "{template.name}": {_object(schema, "  ")};\n'
    )


def _object(schema: Mapping[str, Any], indent: str) -> str:
    """Return the type of an object, with a line for each field."""
    lines = []
    for name, field in schema["properties"].items():
        if text := _comment(field):
            lines.append(f"{indent}  /** {text} */\n")
        optional = "" if name in schema["required"] else "?"
        lines.append(f"{indent}  {name}{optional}: {_type(field, indent + '  ')};\n")
    return "{\n" + "".join(lines) + indent + "}"


def _comment(field: Mapping[str, Any]) -> str:
    """Return the description of a field, with its range and its default."""
    limits = f"{field['minimum']} to {field['maximum']}" if "minimum" in field and "maximum" in field else ""
    default = f"default {json.dumps(field['default'], ensure_ascii=False)}" if "default" in field else ""
    parts = [part for part in (field.get("description", ""), limits, default if len(default) < 60 else "") if part]
    return "; ".join(parts).replace("*/", "* /")


def _type(field: Mapping[str, Any], indent: str) -> str:
    """Return the TypeScript type of a field."""
    if "contentMediaType" in field:
        return "FileValue"
    if "enum" in field:
        return " | ".join(json.dumps(choice) for choice in field["enum"])
    if field["type"] == "array":
        return f"{_object(field['items'], indent)}[]"
    return {"integer": "number"}.get(field["type"], field["type"])


if __name__ == "__main__":
    main()
