"""An endpoint is understood as people write it, and the host that was written is the one that is asked."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from worker.dialects import NATIVE
from worker.errors import InvalidField, StartupError
from worker.fetch.guard import Guard
from worker.settings import Settings
from worker.storage.allowed import storage_policy
from worker.storage.bucket import S3Target, connect
from worker.storage.endpoint import Endpoint
from worker.storage.s3 import KIND


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://s3.example.com", "https://s3.example.com/pics/a.png"),
        ("https://s3.example.com/", "https://s3.example.com/pics/a.png"),
        ("https://s3.example.com/pics", "https://s3.example.com/pics/a.png"),
        ("https://s3.example.com:9000/pics/", "https://s3.example.com:9000/pics/a.png"),
        ("https://s3.example.com/store/pics", "https://s3.example.com/store/pics/a.png"),
        ("https://s3.example.com/store", "https://s3.example.com/store/pics/a.png"),
        ("https://s3.example.com/mypics", "https://s3.example.com/mypics/pics/a.png"),
        ("https://pics.s3.example.com", "https://pics.s3.example.com/a.png"),
        ("https://pics.s3.example.com/", "https://pics.s3.example.com/a.png"),
        ("https://pics.s3.example.com:9000", "https://pics.s3.example.com:9000/a.png"),
        ("https://pics.s3.example.com/pics", "https://pics.s3.example.com/a.png"),
        ("https://mypics.s3.example.com", "https://mypics.s3.example.com/pics/a.png"),
        ("http://pics:9000", "http://pics:9000/pics/a.png"),
    ],
)
def test_the_bucket_stands_once_in_a_files_url(written: str, url: str) -> None:
    """In the path or in the host, wherever it was written, and in the path where it was not."""
    target = S3Target("pics", "AKIDEXAMPLE0000", SecretStr("secret"), endpoint_url=written)
    signed = connect(target, None).generate_presigned_url("get_object", Params={"Bucket": "pics", "Key": "a.png"})
    assert signed.partition("?")[0] == url


@pytest.mark.parametrize(
    ("written", "bucket"), [("https://minio.example.com", "minio"), ("http://127.0.0.1:9000", "127")]
)
def test_a_host_that_is_no_buckets_stays_whole(written: str, bucket: str) -> None:
    """A bucket may be called as its service is, and an address has no labels."""
    assert Endpoint.of(written, bucket) == Endpoint(written)


async def test_an_operators_endpoint_without_a_scheme_is_refused_at_the_start() -> None:
    """The message says what is missing, before the first delivery fails of it."""
    settings = Settings.of(s3_bucket="pics", s3_endpoint="s3.example.com")
    with pytest.raises(StartupError, match=r"write https://s3\.example\.com"):
        async with Guard(storage_policy("")) as guard, KIND.provider(settings, guard):
            pass


def test_a_clients_endpoint_without_a_scheme_is_refused_with_the_cure() -> None:
    """The error names the field and the endpoint as it should be written."""
    body = {"workflow": {"1": {"class_type": "A", "inputs": {}}}}
    place = {"bucket": "pics", "access_key_id": "a", "secret_access_key": "b", "endpoint_url": "s3.example.com"}
    with pytest.raises(InvalidField, match=r"endpoint_url.*write https://s3\.example\.com"):
        NATIVE.read({**body, "s3": place}, {})
