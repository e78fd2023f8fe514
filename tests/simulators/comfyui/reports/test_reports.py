"""Reports and files of nodes, compared with those of a real ComfyUI of the image's commit for the same prompts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.recorded.facts import DATA
from tests.simulators.comfyui.client import EngineClient
from tests.simulators.comfyui.reports.facts import fact_of_refusal, fact_of_run, file_paths, normalize
from tests.simulators.comfyui.reports.pictures import SETUPS

RECORDED: dict[str, list[Any]] = json.loads((DATA / "reports.json").read_text("utf-8"))
STEP = 1
"""Allowed difference of a pixel's value, because of rounding."""
STAND_INS = {"LossGraph"}
"""Cases whose images are placeholders in the embedded engine."""


@pytest.mark.parametrize("name", RECORDED)
async def test_prompt_has_the_results_of_a_real_comfyui(client: EngineClient, name: str) -> None:
    """The engine sends the frames and reports and writes the files that a real ComfyUI did for the same prompt."""
    for step in RECORDED[name]:
        if isinstance(step, str):
            SETUPS[step](client.base)
            continue
        actual = await _send(client, step["prompt"], step.get("extra_data", {}))
        assert _without_pixels(actual) == _without_pixels(step["real"])
        pictures = {} if name in STAND_INS else step["real"].get("files", {})
        for path, fact in pictures.items():
            for ours, theirs in zip(_pixels(actual["files"][path]), _pixels(fact), strict=True):
                assert all(abs(our - their) <= STEP for our, their in zip(ours, theirs, strict=True)), (
                    path,
                    ours,
                    theirs,
                )


async def _send(client: EngineClient, prompt: Any, extra_data: Any) -> Any:
    """Run a prompt, and return the facts of its run or of its rejection."""
    before = file_paths(client.base)
    socket = await client.listen("A", modern=True)
    status, answer = await client.post("/prompt", json={"prompt": prompt, "client_id": "A", "extra_data": extra_data})
    if status != 200:
        await socket.raw.close()
        return fact_of_refusal(answer)
    prompt_id = answer["prompt_id"]
    frames = await socket.until_ended(prompt_id)
    await socket.raw.close()
    entry = (await client.get(f"/history/{prompt_id}"))[prompt_id]
    files = {name: path for name, path in file_paths(client.base).items() if name not in before}
    fact = fact_of_run(frames, entry, files)
    return json.loads(normalize(json.dumps(fact), client.base))


def _pixels(fact: Any) -> list[list[int]]:
    return fact[4] if isinstance(fact, list) else []


def _without_pixels(fact: dict[str, Any]) -> dict[str, Any]:
    """Return the facts without pixels, which are compared with a tolerance."""
    files = fact.get("files", {})
    bare = {name: [*one[:4], one[5]] if isinstance(one, list) else one for name, one in files.items()}
    return fact | {"files": bare}
