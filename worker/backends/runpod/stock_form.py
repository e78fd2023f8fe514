"""Jobs for endpoints that run the image of RunPod's worker-comfyui, and its results in the dialect of the caller."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from worker.backends.base import JobBody
from worker.backends.runpod.backend import JobForm
from worker.backends.runpod.stock_result import stock_result
from worker.backends.runpod.whole_result import HttpResult
from worker.dialects import ParsedRequest, detect
from worker.errors import BackendRefused, CannotConvert, ClientError, InvalidField, PromptError
from worker.inputs import SentFile
from worker.intake.request_cost import prompt_in, shipped_library
from worker.job import JobRequest, OutputMode

INLINE = frozenset({OutputMode.BASE64, OutputMode.AUTO})


class StockImage(JobForm):
    """The input is `{"workflow", "images"}`. The image knows no handlers, no formats of images and no URLs of inputs.

    Of the outputs it returns only images, and of a failure only a text.
    """

    async def input(self, job: JobBody) -> bytes:
        """Return the body of /run. Raises BackendRefused for an invalid job and for one that the image cannot run."""
        return await asyncio.to_thread(_input, job.json)

    def result(self, answer: Mapping[str, Any], dialect: str) -> HttpResult:
        """Return the images in the form of the caller's dialect."""
        return stock_result(answer, dialect)


def _input(json: bytes) -> bytes:
    """Return the body of /run for a job in any dialect. Raises BackendRefused."""
    try:
        body = orjson.loads(json)
        if isinstance(body.get("input"), Mapping) and "handler" in body["input"]:
            raise _unsupported(["calls of handlers"])
        parsed = detect(body).read(body, shipped_library())
        workflow = prompt_in(parsed.job.prompt)
    except (PromptError, CannotConvert) as error:
        raise _invalid(InvalidField(error.message)) from None
    except ClientError as error:
        raise _invalid(error) from None
    except (orjson.JSONDecodeError, AttributeError):
        raise _invalid(InvalidField("the body is not a JSON object")) from None
    if reasons := list(_unsupported_parts(parsed)):
        raise _unsupported(reasons)
    images = [{"name": file.name, "image": _base64(file)} for file in parsed.files]
    key = parsed.job.extra.api_key
    fields: dict[str, Any] = {"workflow": workflow}
    fields |= {"images": images} if images else {}
    fields |= {"comfy_org_api_key": key.get_secret_value()} if key else {}
    return orjson.dumps({"input": fields})


def _unsupported_parts(parsed: ParsedRequest) -> list[str]:
    """Return the parts of a request that the stock image would ignore."""
    job: JobRequest = parsed.job
    parts = {
        "input files by URL": bool(job.urls),
        "outputs by URL": job.output_mode not in INLINE or job.own_target,
        "formats of images": job.image_format is not None,
        "webhooks": job.webhook is not None,
        "models as outputs": job.deliver_models,
    }
    return [name for name, is_needed in parts.items() if is_needed]


def _base64(file: SentFile) -> str:
    """Return the content of a file in memory."""
    if not isinstance(file.content, bytes):
        raise _unsupported(["outputs of earlier jobs as inputs"])
    return base64.b64encode(file.content).decode()


def _invalid(error: ClientError) -> BackendRefused:
    """Return the error for a job that no backend would run."""
    body = orjson.dumps({"status": "error", "error": error.as_dict()})
    return BackendRefused(error.message, error.status, body, elsewhere=False)


def _unsupported(parts: Sequence[str]) -> BackendRefused:
    """Return the error for a job that another backend can run."""
    message = f"an endpoint with worker-comfyui does not support {', '.join(parts)}"
    error = {**InvalidField(message).as_dict(), "retryable_elsewhere": True}
    body = orjson.dumps({"status": "error", "error": error})
    return BackendRefused(message, InvalidField.status, body, elsewhere=True)
