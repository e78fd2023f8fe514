"""Parsing of endpoints as operators and clients write them."""

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
def test_the_bucket_is_once_in_the_url_of_a_file(written: str, url: str) -> None:
    """The URL of a file contains the bucket once, in the path or in the host as in the endpoint."""
    target = S3Target("pics", "AKIDEXAMPLE0000", SecretStr("secret"), endpoint_url=written)
    signed = connect(target, None).generate_presigned_url("get_object", Params={"Bucket": "pics", "Key": "a.png"})
    assert signed.partition("?")[0] == url


@pytest.mark.parametrize(
    ("written", "bucket"), [("https://minio.example.com", "minio"), ("http://127.0.0.1:9000", "127")]
)
def test_a_host_without_the_bucket_is_unchanged(written: str, bucket: str) -> None:
    """Endpoint.of keeps a host that only starts like the bucket: a service name or an IP address."""
    assert Endpoint.of(written, bucket) == Endpoint(written)


async def test_an_operators_endpoint_without_a_scheme_is_refused_at_the_start() -> None:
    """The start fails for a WORKER_S3_ENDPOINT without a scheme, with a message that contains the right form."""
    settings = Settings.of(s3_bucket="pics", s3_endpoint="s3.example.com")
    with pytest.raises(StartupError, match=r"write https://s3\.example\.com"):
        async with Guard(storage_policy("")) as guard, KIND.provider(settings, guard):
            pass


def test_a_clients_endpoint_without_a_scheme_is_refused() -> None:
    """The error for an endpoint without a scheme names the field and the right form."""
    body = {"workflow": {"1": {"class_type": "A", "inputs": {}}}}
    place = {"bucket": "pics", "access_key_id": "a", "secret_access_key": "b", "endpoint_url": "s3.example.com"}
    with pytest.raises(InvalidField, match=r"endpoint_url.*write https://s3\.example\.com"):
        NATIVE.read({**body, "s3": place}, {})
