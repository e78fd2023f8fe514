"""A simulated account at Vast, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet.fleet import quick
from worker.fleet.vast.account import Account
from worker.simulators.vast_account import LocalAccount, run_in_thread


@pytest.fixture
def local() -> Iterator[LocalAccount]:
    """An empty account."""
    with run_in_thread() as local:
        yield local


@pytest.fixture
def account(local: LocalAccount) -> Iterator[Account]:
    """A client of the account with short retries."""
    with quick(local) as account:
        yield account
