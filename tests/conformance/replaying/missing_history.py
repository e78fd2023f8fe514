"""The number of history entries that are missing at `execution_success`, which is all that two recordings contain."""

from __future__ import annotations

import uuid

import aiohttp

from tests.conformance.replaying.engines import EngineUnderTest

NOTES_ONLY = frozenset({"13c-history-race-300", "13d-history-race-4x300"})
JOBS = 40


async def count_missing_history(engine: EngineUnderTest, session: aiohttp.ClientSession) -> tuple[int, int]:
    """Return how many history entries were missing at `execution_success`, and how many at the end of the prompt."""
    early = late = 0
    async with session.ws_connect(f"{engine.url}/ws?clientId=A") as socket:
        for job in range(JOBS):
            prompt_id = str(uuid.uuid4())
            await session.post(f"{engine.url}/prompt", json=_submission(prompt_id, job))
            while True:
                frame = await socket.receive_json()
                if frame["type"] == "execution_success":
                    early += not await _is_there(engine, session, prompt_id)
                if frame["type"] == "executing" and frame["data"]["node"] is None:
                    late += not await _is_there(engine, session, prompt_id)
                    break
    return early, late


async def _is_there(engine: EngineUnderTest, session: aiohttp.ClientSession, prompt_id: str) -> bool:
    """Return whether the history has an entry for the prompt."""
    async with session.get(f"{engine.url}/history/{prompt_id}") as response:
        return prompt_id in await response.json()


def _submission(prompt_id: str, job: int) -> dict[str, object]:
    image = {"width": 64, "height": 64, "batch_size": 1, "color": job}
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "race"}},
    }
    return {"prompt": prompt, "prompt_id": prompt_id, "client_id": "A"}
