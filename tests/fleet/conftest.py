"""An account at Vast, played beside the test, and what a fleet puts into it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from worker.fleet.vast.account import Account
from worker.simulators.vast_account import LocalAccount, running


@pytest.fixture
def local() -> Iterator[LocalAccount]:
    """An empty account."""
    with running() as local:
        yield local


@pytest.fixture
def account(local: LocalAccount) -> Iterator[Account]:
    """Our side of it, with less patience than in earnest."""
    with Account(local.api_key, local.url, timeout_s=0.2, limit_s=8) as account:
        yield account
