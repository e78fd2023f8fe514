"""Submitting prompts: POST /prompt, and how many are not done."""

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
"""Kept out of every listing."""


class InvalidPromptId(Exception):
    """The caller's prompt_id is no canonical UUID."""


def routes() -> list[web.RouteDef]:
    return [web.get("/prompt", remaining), web.post("/prompt", submit)]


async def remaining(request: web.Request) -> web.Response:
    return json_response({"exec_info": {"queue_remaining": request.app[ENGINE].queue.remaining()}})


async def submit(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    engine.logs.info("got prompt")
    body = await json_body(request)
    number = _number(engine, body)
    if not isinstance(body, dict) or "prompt" not in body:
        return _refuse("no_prompt", "No prompt provided", "No prompt provided")
    try:
        prompt_id = _prompt_id(body.get("prompt_id"))
    except InvalidPromptId:
        return _refuse("invalid_prompt_id", "prompt_id must be a valid UUID", ID_RULE)
    targets = _targets(body.get("partial_execution_targets"))
    try:
        parse_faults(request.headers.get(FAULT_HEADER, ""))
    except InvalidFault as error:
        return _refuse("invalid_fault", str(error), f"header {FAULT_HEADER}")
    verdict = validate(body["prompt"], engine.catalog, EngineFiles(engine.settings, engine.folders), targets)
    if verdict.status >= 500:
        fail_request("the prompt breaks the validation")
    extra_data = _extra_data(body, request)
    if not verdict.accepted:
        return json_response({"error": verdict.error, "node_errors": verdict.node_errors}, status=verdict.status)
    _push(engine, number, prompt_id, verdict, extra_data)
    return json_response({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})


def _number(engine: EmbeddedEngine, body: object) -> float:
    """The caller's number as a float, or the next one of the counter, negative for `front`."""
    if isinstance(body, dict) and "number" in body:
        try:
            return float(body["number"])
        except (TypeError, ValueError):
            fail_request("number is no number")
    number = next(engine.numbers)
    return -number if isinstance(body, dict) and body.get("front") else number


def _prompt_id(given: object) -> str:
    """The caller's id where it is a UUID in canonical form, a new one where it is absent or null."""
    if given is None:
        return str(uuid.uuid4())
    try:
        canonical = str(uuid.UUID(given)) if isinstance(given, str) else None
    except ValueError:
        canonical = None
    if canonical is None or canonical != given:
        raise InvalidPromptId(given)
    return canonical


def _targets(given: object) -> Collection[str] | None:
    """Output nodes to keep. A string is searched for ids, because ComfyUI asks `id in targets`."""
    if given is not None and not isinstance(given, str | list | dict):
        fail_request("partial_execution_targets can't hold ids")
    return given


def _extra_data(body: dict[str, object], request: web.Request) -> JsonObject:
    given = body.get("extra_data", {})
    if not isinstance(given, dict):
        fail_request("extra_data is no object")
    extra_data = cast("JsonObject", dict(given))
    if "client_id" in body:
        extra_data["client_id"] = cast("JsonObject", body)["client_id"]
    if fault := request.headers.get(FAULT_HEADER):
        extra_data[FAULT_KEY] = fault
    source = request.headers.get("Comfy-Usage-Source")
    if source and "comfy_usage_source" not in extra_data:
        extra_data["comfy_usage_source"] = source
    return extra_data


def _push(engine: EmbeddedEngine, number: float, prompt_id: str, verdict: Verdict, extra_data: JsonObject) -> None:
    secrets = {key: extra_data.pop(key) for key in SECRET_KEYS if key in extra_data}
    extra_data["create_time"] = int(time.time() * 1000)
    item = QueuedPrompt(number, prompt_id, verdict.prompt, extra_data, list(verdict.outputs), secrets)
    try:
        engine.queue.push(item)
    except TypeError:
        fail_request("a queued prompt has the same id and number")


def _refuse(type_name: str, message: str, details: str) -> web.Response:
    error = {"type": type_name, "message": message, "details": details, "extra_info": {}}
    return json_response({"error": error, "node_errors": {}}, status=400)
