"""The clients for Python and TypeScript do at the proxy what they do at a worker: their own tests, with its URL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.clients.test_comfy_client import (
    test_a_cancelled_task_cancels_the_job_that_it_owns,
    test_another_client_waits_for_a_submitted_job,
    test_errors_have_code_node_and_remedy,
    test_events_of_a_stream,
    test_files_are_uploaded,
    test_generate_and_save,
    test_templates,
)
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.proxy.running import ProxyClient, proxy

__all__ = [
    "test_a_cancelled_task_cancels_the_job_that_it_owns",
    "test_another_client_waits_for_a_submitted_job",
    "test_errors_have_code_node_and_remedy",
    "test_events_of_a_stream",
    "test_files_are_uploaded",
    "test_generate_and_save",
    "test_templates",
]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProxyClient]:
    """A proxy in front of one worker, in place of the worker."""
    folder = tmp_path_factory.mktemp("proxy")
    async with worker(engine, folder / "worker") as backend, proxy(folder / "proxy", backend.app.url) as found:
        yield found
