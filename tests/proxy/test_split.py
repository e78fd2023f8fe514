"""Two sides of a comparison, over real jobs: their shares, and which side a caller sees."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.conftest import worker
from tests.engines import EngineHandle
from tests.proxy.running import ProxyClient, proxy
from tests.workflows import picture

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOBS, AT_ONCE = 2000, 25
MARGIN = 57
"""Half of the interval that holds 99 % of the results of 2,000 tosses of a coin: 2.576 times the square root of 500."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProxyClient]:
    """A proxy whose two backends are the same worker. Templates are split by a header, and other jobs by their keys."""
    folder = tmp_path_factory.mktemp("split")
    async with worker(engine, folder / "worker") as backend:
        toml = f"""
            [[backends]]
            name = "left"
            url = "{backend.app.url}"
            [[backends]]
            name = "right"
            url = "{backend.app.url}"
            [[routes]]
            templates = ["smoke-*"]
            backends = {{left = 50, right = 50}}
            sticky = "header:X-User"
            [[routes]]
            backends = {{left = 50, right = 50}}
        """
        async with proxy(folder / "proxy", toml=toml) as found:
            yield found


async def side(http: aiohttp.ClientSession, url: str, body: dict, **headers: str) -> str:
    """Run a job, and return the backend that ran it."""
    async with http.post(f"{url}/generate/sync", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return answer.headers["X-Comfy-Backend"]


@pytest.mark.timeout(240)
async def test_half_of_two_thousand_jobs_go_to_each_side(client: ProxyClient) -> None:
    """The shares are within the interval of 99 %. The keys are fixed, so that the result is always the same."""
    limit, body = asyncio.Semaphore(AT_ONCE), {"workflow": picture(8, 8)}

    async def one(number: int) -> str:
        async with limit:
            return await side(client.http, client.url, body, **{"Idempotency-Key": f"toss-{number}"})

    shares = Counter(await asyncio.gather(*map(one, range(JOBS))))
    assert shares.total() == JOBS
    assert abs(shares["left"] - JOBS // 2) <= MARGIN


async def test_a_user_always_sees_the_same_side(client: ProxyClient) -> None:
    """The header decides, whatever else is in the request. Both sides have users."""
    sides = {}
    for user in range(12):
        bodies = [{"template": "smoke-resize", "params": {"width": 64 + 16 * number}} for number in range(3)]
        [sides[user]] = {await side(client.http, client.url, body, **{"X-User": f"user-{user}"}) for body in bodies}
    assert set(sides.values()) == {"left", "right"}
