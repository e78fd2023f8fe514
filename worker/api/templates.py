"""Routes for the templates of this worker."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

from worker.api.edge.authorization import authorization_of
from worker.api.services import json_response, services_of
from worker.dialects.base import find_template
from worker.workflow.templates.schema import params_schema
from worker.workflow.templates.template import Library, Template


async def list_templates(request: web.Request) -> web.Response:
    """Handle `GET /templates`: list name, title, purpose, parameters and node packs of each template."""
    services = services_of(request)
    services.access.authenticate(authorization_of(request))
    return json_response(template_list(services.library))


async def get_template(request: web.Request) -> web.Response:
    """Handle `GET /templates/{name}`: return one template with its JSON Schema and model files."""
    services = services_of(request)
    services.access.authenticate(authorization_of(request))
    return json_response(template_description(find_template(services.library, request.match_info["name"])))


def template_list(library: Library) -> dict[str, Any]:
    """Return the body of `GET /templates`."""
    return {"templates": [_entry(template) for template in library.values()]}


def template_description(template: Template) -> dict[str, Any]:
    """Return the body of `GET /templates/{name}`."""
    return {**_entry(template), "schema": params_schema(template), **_outputs_and_models(template)}


def _entry(template: Template) -> dict[str, Any]:
    """Return the fields of a template that `GET /templates` lists."""
    return {
        "name": template.name,
        "title": template.title,
        "about": template.about,
        "parameters": [parameter.name for parameter in template.parameters],
        "packs": list(template.packs),
    }


def _outputs_and_models(template: Template) -> dict[str, Any]:
    """Return the outputs and models of a template."""
    models = [{key: value for key, value in asdict(model).items() if value is not None} for model in template.models]
    return {"outputs": list(template.outputs), "models": models}
