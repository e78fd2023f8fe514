"""One whole S3 server for the tests of storages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.storage.buckets import WholeBucket, whole_bucket


@pytest.fixture(scope="session")
def bucket() -> Iterator[WholeBucket]:
    """A bucket that every test may write into, each under keys of its own."""
    with whole_bucket() as found:
        yield found
