"""Tests of the log messages that the stress runs search for."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.fault_cases import CASES

WORKER = Path(__file__).parent.parent.parent / "worker"
SOURCE = "\n".join(path.read_text("utf-8") for path in WORKER.rglob("*.py"))


@pytest.mark.parametrize("message", sorted({case.log_message for case in CASES} - {""}))
def test_the_worker_logs_the_messages_of_the_fault_matrix(message: str) -> None:
    """Every log message of a fault case occurs in the worker's source."""
    assert message in SOURCE


@pytest.mark.parametrize("message", ["job %s accepted, workload", "job %s %s after"])
def test_the_worker_logs_the_messages_of_the_ledger(message: str) -> None:
    """The messages by which the ledger counts accepted and ended jobs occur in the worker's source."""
    assert message in SOURCE
