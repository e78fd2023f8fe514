"""Errors name the correct field in the dialect of the caller."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client, shared_client
from tests.inputs.files import loading
from tests.workflows import picture

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

WORKFLOW = picture()
WRONG = [
    ({"workflowJson": WORKFLOW}, "'workflow'"),
    ({"workflow_json": WORKFLOW}, "'workflow'"),
    ({"Workflow": WORKFLOW}, "'workflow'"),
    ({"workflow": WORKFLOW, "outputFormat": "url"}, "'output_format'"),
    ({"workflow": WORKFLOW, "timeoutS": 3}, "'timeout_s'"),
    ({"workflow": WORKFLOW, "images": []}, "'inputs'"),
    ({"workflow": WORKFLOW, "return_outputs_as_base64": True}, "'output_format'"),
    ({"workflow": WORKFLOW, "request_id": "1"}, "'id'"),
    ({"workflow": WORKFLOW, "output": {"Quality": 3}}, "'output.quality'"),
    ({"workflow": WORKFLOW, "quality": 3}, "'output.quality'"),
    ({"workflow": WORKFLOW, "s3": {"bucketname": "x"}}, "unknown field 's3.bucketname'"),
    ({"workflow": WORKFLOW, "s3": {"accessKeyId": "x"}}, "'s3.access_key_id'"),
    ({"workflow": WORKFLOW, "webhook_url": "http://x"}, "'webhook'"),
    ({"workflow": WORKFLOW, "comfy_org_api_key": "x"}, "'extra_data.api_key_comfy_org'"),
    ({"modifier": "Text2Image", "modifications": {}}, "'template'"),
    ({"input": "a cat"}, "'input' must be an object"),
    ({"input": {"workflowJson": WORKFLOW}}, "'input.workflow_json'"),
    ({"input": {"workFlow": WORKFLOW}}, "'input.workflow'"),
    ({"input": {"workflow_jsn": WORKFLOW}}, "'input.workflow_json'"),
    ({"input": {"Modifier": "Text2Image"}}, "'input.modifier'"),
    ({"input": {"workflow_json": {}}}, "'input.workflow_json' is empty"),
    ({"input": {}}, "'workflow' (RunPod's worker)"),
    ({"input": {"workflow": 3}}, "'input.workflow'"),
    ({"input": {"workflow": WORKFLOW, "images": [{"name": "a.png"}]}}, "'input.images.0.image'"),
    ({"input": {"workflow_json": WORKFLOW, "modifier": "Text2Image"}}, "'input.workflow_json' and 'input.modifier'"),
    ({"workflow": WORKFLOW, "output": {"format": "avif"}}, "'png', 'jpeg' or 'webp'"),
]


@pytest.mark.parametrize(("body", "named"), WRONG)
async def test_a_wrong_field_names_the_right_one(client: Client, body: dict[str, Any], named: str) -> None:
    """The error for a wrong field has the path of the correct one.

    The field may be misspelt, in camelCase, of another server, or at the wrong depth.
    """
    status, answer = await client.post("/generate/sync", body)
    error = answer.get("error_info", answer["error"])
    assert (status, error["fault"]) == (400, "client")
    assert named in error["message"]


@pytest.mark.parametrize(
    ("wrap", "named"),
    [
        (lambda workflow: {"workflow": workflow}, "`inputs`"),
        (lambda workflow: {"input": {"workflow": workflow}}, "`input.images`"),
        (lambda workflow: {"input": {"workflow_json": workflow}}, "data URI"),
    ],
    ids=["native", "runpod", "vast"],
)
async def test_a_cure_names_fields_of_the_dialect(client: Client, wrap: Any, named: str) -> None:
    """The remedy for a missing file names the field of the dialect."""
    _, answer = await client.post("/generate/sync", wrap(loading("nowhere.png")))
    error = answer.get("error_info", answer["error"])
    assert error["code"] == "file_not_allowed"
    assert named in error["details"][0]["suggestion"]
