"""Returns the parameters of a template as a JSON Schema (2020-12)."""

from __future__ import annotations

from typing import Any

from worker.workflow.templates.template import Parameter, ParameterKind, Template
from worker.workflow.templates.value import number_range

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE_HELP = "a URL, a data URI, base64, or the name of a file in the request"
MEDIA = {ParameterKind.IMAGE: "image/*", ParameterKind.VIDEO: "video/*", ParameterKind.AUDIO: "audio/*"}


def params_schema(template: Template) -> dict[str, Any]:
    """Return the JSON Schema of `params` for a template."""
    return {"$schema": DIALECT, "title": template.title, **_object_schema(template.parameters, template.about)}


def _object_schema(parameters: tuple[Parameter, ...], about: str = "") -> dict[str, Any]:
    """Return the schema of an object with these parameters as properties. `about` is its description."""
    description = {"description": about} if about else {}
    return {
        "type": "object",
        **description,
        "properties": {parameter.name: _parameter_schema(parameter) for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }


def _parameter_schema(parameter: Parameter) -> dict[str, Any]:
    """Return the schema of one parameter, with its description and default."""
    schema: dict[str, Any] = {"description": parameter.description} if parameter.description else {}
    schema |= _type_schema(parameter)
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema


def _type_schema(parameter: Parameter) -> dict[str, Any]:
    """Return the part of the schema that depends on the type of a parameter."""
    match parameter.type:
        case ParameterKind.LIST:
            items = _object_schema(parameter.fields)
            # A field is required if it has no default. `required` of a field has no effect.
            items["required"] = [field.name for field in parameter.fields if field.default is None]
            return {"type": "array", "maxItems": parameter.items_max, "items": items}
        case ParameterKind.CHOICE:
            return {"type": "string", "enum": list(parameter.choices)}
        case ParameterKind.STRING:
            return {"type": "string", "maxLength": parameter.max_length}
        case ParameterKind.BOOLEAN:
            return {"type": "boolean"}
        case ParameterKind.IMAGE | ParameterKind.VIDEO | ParameterKind.AUDIO:
            return {"type": "string", "contentMediaType": MEDIA[parameter.type], "$comment": FILE_HELP}
    return _number_schema(parameter)


def _number_schema(parameter: Parameter) -> dict[str, Any]:
    """Return the schema of a number. For a seed, -1 and a missing value mean a random one."""
    low, high = number_range(parameter)
    if parameter.type is ParameterKind.SEED:
        return {"type": "integer", "minimum": -1, "maximum": high, "$comment": "-1 or no value: a random seed"}
    bounds = {"minimum": low, "maximum": high, "multipleOf": parameter.multiple_of}
    is_integer = parameter.type is ParameterKind.INTEGER
    limits = {name: int(bound) if is_integer else bound for name, bound in bounds.items() if bound is not None}
    return {"type": "integer" if is_integer else "number", **limits}
