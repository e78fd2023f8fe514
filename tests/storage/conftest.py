"""A complete S3 server for the storage tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.storage.buckets import WholeBucket, whole_bucket


@pytest.fixture(scope="session")
def bucket() -> Iterator[WholeBucket]:
    """A bucket that all tests share, each with its own keys."""
    with whole_bucket() as found:
        yield found
