"""The npm package does at the proxy what it does at a worker: its own tests, with the URL of a proxy."""

from __future__ import annotations

import pytest

from tests.clients.typescript.conftest import TOOLS, package
from tests.clients.typescript.test_client import (
    test_a_repeated_key_returns_the_same_job,
    test_an_aborted_call_cancels_the_job_that_it_owns,
    test_another_client_waits_for_a_submitted_job,
    test_errors_name_code_node_and_field,
    test_events_of_a_stream,
    test_files_are_uploaded_as_they_are,
    test_generate_and_download,
    test_large_results_arrive_whole,
    test_templates,
)
from tests.proxy.clients.test_python import client

__all__ = [
    "client",
    "package",
    "test_a_repeated_key_returns_the_same_job",
    "test_an_aborted_call_cancels_the_job_that_it_owns",
    "test_another_client_waits_for_a_submitted_job",
    "test_errors_name_code_node_and_field",
    "test_events_of_a_stream",
    "test_files_are_uploaded_as_they_are",
    "test_generate_and_download",
    "test_large_results_arrive_whole",
    "test_templates",
]
pytestmark = [pytest.mark.tools(*TOOLS), pytest.mark.asyncio(loop_scope="module")]
