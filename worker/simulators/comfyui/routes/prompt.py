"""Routes for the submission of prompts: POST /prompt, and GET /prompt for the number of unfinished ones."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from typing import cast

from aiohttp import web

from worker.errors import InvalidFault
from worker.simulators.comfyui.engine import ENGINE, EmbeddedEngine, EngineFiles
from worker.simulators.comfyui.execution.queue import QueuedPrompt
from worker.simulators.comfyui.faults.fault import parse_faults
from worker.simulators.comfyui.faults.fault_injector import FAULT_KEY
from worker.simulators.comfyui.server.responses import fail_request, json_body, json_response
from worker.workflow.json_value import JsonObject
from worker.workflow.validation.validate import Verdict, validate

ID_RULE = (
    "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server generate one"
)
FAULT_HEADER = "X-Embedded-Fault"
SECRET_KEYS = ("api_key_comfy_org", "auth_token_comfy_org")
"""Keys of `extra_data` that no response of the server contains."""


class InvalidPromptId(Exception):
    """The `prompt_id` of the request is not a canonical UUID."""


def routes() -> list[web.RouteDef]:
    return [web.get("/prompt", remaining), web.post("/prompt", submit)]


async def remaining(request: web.Request) -> web.Response:
    """Return the number of pending and running prompts."""
    return json_response({"exec_info": {"queue_remaining": request.app[ENGINE].queue.remaining()}})


async def submit(request: web.Request) -> web.Response:
    """Validate a prompt and add it to the queue."""
    engine = request.app[ENGINE]
    engine.logs.info("got prompt")
    body = await json_body(request)
    number = _number(engine, body)
    if not isinstance(body, dict) or "prompt" not in body:
        return _rejection("no_prompt", "No prompt provided", "No prompt provided")
    try:
        prompt_id = _prompt_id(body.get("prompt_id"))
    except InvalidPromptId:
        return _rejection("invalid_prompt_id", "prompt_id must be a valid UUID", ID_RULE)
    targets = _targets(body.get("partial_execution_targets"))
    try:
        parse_faults(request.headers.get(FAULT_HEADER, ""))
    except InvalidFault as error:
        return _rejection("invalid_fault", str(error), f"header {FAULT_HEADER}")
    verdict = validate(body["prompt"], engine.catalog, EngineFiles(engine.settings, engine.folders), targets)
    if verdict.status >= 500:
        fail_request("the validation of the prompt raises an exception")
    extra_data = _extra_data(body, request)
    if not verdict.accepted:
        return json_response({"error": verdict.error, "node_errors": verdict.node_errors}, status=verdict.status)
    _push(engine, number, prompt_id, verdict, extra_data)
    return json_response({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})


def _number(engine: EmbeddedEngine, body: object) -> float:
    """Return the `number` of the request as a float, or the next number of the engine, negated for `front`."""
    if isinstance(body, dict) and "number" in body:
        try:
            return float(body["number"])
        except (TypeError, ValueError):
            fail_request("the field 'number' is not a number")
    number = next(engine.numbers)
    return -number if isinstance(body, dict) and body.get("front") else number


def _prompt_id(value: object) -> str:
    """Return the requested id, or a new one when it is missing or null.

    Raises `InvalidPromptId` when it is not a UUID in canonical form.
    """
    if value is None:
        return str(uuid.uuid4())
    try:
        canonical = str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        canonical = None
    if canonical is None or canonical != value:
        raise InvalidPromptId(value)
    return canonical


def _targets(value: object) -> Collection[str] | None:
    """Return the output nodes to run, or None for all.

    A string is accepted as well, and then every id that is part of it matches, because ComfyUI tests `id in targets`.
    """
    if value is not None and not isinstance(value, str | list | dict):
        fail_request("partial_execution_targets is neither a list, an object nor a string")
    return value


def _extra_data(body: dict[str, object], request: web.Request) -> JsonObject:
    """Return the `extra_data` of the request, extended by the client id, the fault header and the usage source."""
    value = body.get("extra_data", {})
    if not isinstance(value, dict):
        fail_request("extra_data is not an object")
    extra_data = cast("JsonObject", dict(value))
    if "client_id" in body:
        extra_data["client_id"] = cast("JsonObject", body)["client_id"]
    if fault := request.headers.get(FAULT_HEADER):
        extra_data[FAULT_KEY] = fault
    source = request.headers.get("Comfy-Usage-Source")
    if source and "comfy_usage_source" not in extra_data:
        extra_data["comfy_usage_source"] = source
    return extra_data


def _push(engine: EmbeddedEngine, number: float, prompt_id: str, verdict: Verdict, extra_data: JsonObject) -> None:
    """Add the prompt to the queue, with its secrets separated from `extra_data`."""
    secrets = {key: extra_data.pop(key) for key in SECRET_KEYS if key in extra_data}
    extra_data["create_time"] = int(time.time() * 1000)
    item = QueuedPrompt(number, prompt_id, verdict.prompt, extra_data, list(verdict.outputs), secrets)
    try:
        engine.queue.push(item)
    except TypeError:
        fail_request("another queued prompt has the same id and number")


def _rejection(type_name: str, message: str, details: str) -> web.Response:
    """Return a 400 response in ComfyUI's form of an error."""
    error = {"type": type_name, "message": message, "details": details, "extra_info": {}}
    return json_response({"error": error, "node_errors": {}}, status=400)
