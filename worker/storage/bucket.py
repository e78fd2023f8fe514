"""Outputs in a bucket: streamed from disk in parts, by threads that nobody else waits for."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import SecretStr

from worker.delivery_options import NO_SECRET, DeliveryTarget
from worker.errors import DeliveryFailed, DeliveryRefused, StartupError, WorkerError
from worker.fetch.policy import Policy
from worker.job import Job, Output
from worker.storage.active_content import disposition
from worker.storage.endpoint import Endpoint
from worker.storage.keys import KeyTemplate

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from botocore.exceptions import ClientError
    from mypy_boto3_s3.client import S3Client

MIB = 1024 * 1024
PART = 8 * MIB
JOBS_AT_ONCE, PARTS_AT_ONCE = 3, 2
TRIES = 4
WEEK_S = 7 * 24 * 3600
TALKATIVE = ("boto3", "botocore", "s3transfer", "urllib3")
"""At debug level they log signatures, session tokens and whatever a server answers."""
STORED = {
    "PutObject": "ETag",
    "CreateMultipartUpload": "UploadId",
    "UploadPart": "ETag",
    "CompleteMultipartUpload": "ETag",
}
"""What an answer of S3 to each operation of an upload has, whatever the product."""
AGAIN = frozenset({408, 425, 429})
"""Statuses below 500 that pass."""


@dataclass(frozen=True, slots=True)
class Links:
    """How a file in a bucket is opened: a presigned URL of so many seconds, or a public base and its key."""

    life_s: int
    public_url: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.life_s <= WEEK_S:
            raise StartupError(f"WORKER_S3_URL_LIFE={self.life_s}: a presigned URL opens for 1 second to a week")


@dataclass(frozen=True, slots=True)
class S3Target(DeliveryTarget):
    """A bucket with the keys that open it; the two never come from different hands. Empty endpoint: AWS."""

    bucket: str
    access_key_id: str = field(default="", repr=False)
    secret_access_key: SecretStr = field(default=NO_SECRET, repr=False)
    session_token: SecretStr = field(default=NO_SECRET, repr=False)
    endpoint_url: str = ""
    region: str = ""
    prefix: str = ""

    @property
    def address(self) -> str:
        """Where the bucket is; AWS has a host for each."""
        return self.endpoint_url or f"https://{self.bucket}.s3.{self.region or 'us-east-1'}.amazonaws.com"


class Buckets:
    """boto3, imported with the first upload; its threads live as long as this."""

    def __init__(self, keys: KeyTemplate, links: Links) -> None:
        self.installed = find_spec("boto3") is not None
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.INFO)
        self._keys = keys
        self._links = links
        self._threads = ThreadPoolExecutor(JOBS_AT_ONCE, thread_name_prefix="s3")

    def operator_bucket(self, target: S3Target) -> Bucket:
        """Raises StartupError where boto3 isn't installed."""
        if not self.installed:
            raise StartupError("WORKER_S3_BUCKET needs boto3: `pip install 'comfy-worker[s3]'` installs it")
        return Bucket(target, self._keys, self._links, self._threads)

    def client_bucket(self, target: S3Target, policy: Policy) -> Bucket:
        """A bucket that a request names: never opened with the operator's keys. Raises DeliveryRefused."""
        if not target.access_key_id:
            raise DeliveryRefused("a bucket of your own needs keys of your own")
        return Bucket(target, self._keys, Links(self._links.life_s), self._threads, policy)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class Bucket:
    """A Storage. With a `policy` the bucket is a client's: it is reached only where that admits."""

    external = True

    def __init__(
        self,
        target: S3Target,
        keys: KeyTemplate,
        links: Links,
        threads: ThreadPoolExecutor,
        policy: Policy | None = None,
    ) -> None:
        self._target = target
        self._keys = keys
        self._links = links
        self._threads = threads
        self._policy = policy
        self._making = threading.Lock()
        self._client: S3Client | None = None

    async def put(self, job: Job, output: Output, path: Path) -> str:
        key = self._keys.key(job, output, self._target.prefix)
        stop = threading.Event()
        uploading = asyncio.get_running_loop().run_in_executor(
            self._threads, self._upload, path, key, output.mime, stop
        )
        try:
            return await uploading
        except asyncio.CancelledError:
            stop.set()
            raise

    def _upload(self, path: Path, key: str, mime: str, stop: threading.Event) -> str:
        from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager
        from botocore.exceptions import BotoCoreError, ClientError

        config = TransferConfig(
            multipart_threshold=2 * PART,
            multipart_chunksize=PART,
            max_concurrency=PARTS_AT_ONCE,
            preferred_transfer_client="classic",
        )
        try:
            client = self._connected()
            bucket, given = self._target.bucket, {"ContentType": mime}
            if disposition(mime) != "inline":
                given["ContentDisposition"] = disposition(mime)
            # client.upload_file would put the path and the server's words into its error, and sometimes lose the code.
            with create_transfer_manager(client, config) as transfers:
                transfers.upload(str(path), bucket, key, given, [ProgressCallbackInvoker(_until(stop))]).result()
            return self._url(client, key)
        except ClientError as error:
            raise self._said_no(error) from None
        except BotoCoreError as error:
            raise DeliveryFailed(f"the bucket can't be reached: {type(error).__name__}") from None

    def _connected(self) -> S3Client:
        with self._making:
            if self._client is None:
                self._client = connect(self._target, self._policy)
            return self._client

    def _url(self, client: S3Client, key: str) -> str:
        if self._links.public_url:
            return f"{self._links.public_url.rstrip('/')}/{quote(key)}"
        place = {"Bucket": self._target.bucket, "Key": key}
        return client.generate_presigned_url("get_object", Params=place, ExpiresIn=self._links.life_s)

    def _said_no(self, error: ClientError) -> WorkerError:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = "".join(letter for letter in error.response.get("Error", {}).get("Code", "") if letter.isalnum())[:60]
        final = 400 <= status < 500 and status not in AGAIN
        kind = DeliveryRefused if final and self._policy is not None else DeliveryFailed
        return kind(f"the bucket did not take the file: {status} {code}")


def connect(target: S3Target, policy: Policy | None) -> S3Client:
    """A client of its own for each bucket: credentials never meet."""
    import boto3
    from botocore.config import Config

    endpoint = Endpoint.of(target.endpoint_url, target.bucket) if target.endpoint_url else None
    options: dict[str, Any] = {
        "signature_version": "s3v4",
        # Newer checksums are refused by R2, GCS and older MinIO; the body's hash is in the signature anyway.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "retries": {"mode": "standard", "total_max_attempts": TRIES},
        "connect_timeout": 10,
        "read_timeout": 60,
        "max_pool_connections": JOBS_AT_ONCE * PARTS_AT_ONCE,
        "ignore_configured_endpoint_urls": True,
        # With an endpoint of its own the host stays the one that was named, and was checked.
        "s3": {"addressing_style": endpoint.style if endpoint else "auto"},
    }
    client: S3Client = boto3.session.Session().client(
        "s3", config=Config(**options), region_name=target.region or "us-east-1", **_given(target, endpoint)
    )
    for operation, has in STORED.items():
        client.meta.events.register(f"after-call.s3.{operation}", partial(_check_stored, has))
    if policy is not None:
        from worker.storage.pinned_transport import PinnedSender

        sender: Callable[..., Any] = PinnedSender(policy)
        client.meta.events.register("before-send.s3", sender)
    return client


def _check_stored(field: str, http_response: AWSResponse, parsed: Mapping[str, Any], **_: object) -> None:
    """Raise DeliveryFailed where an answer is not that of a store of objects, such as a proxy's page with status 200.

    boto3 would take the file for uploaded.
    """
    if http_response.status_code < 300 and field not in parsed:
        raise DeliveryFailed(f"the bucket's answer is not S3's: it has no {field}")


def _given(target: S3Target, endpoint: Endpoint | None) -> dict[str, Any]:
    """Keys as they are; without any, the operator's bucket is opened with what boto3 finds on the machine."""
    given: dict[str, Any] = {"endpoint_url": endpoint.url if endpoint else None}
    if target.access_key_id:
        given |= {
            "aws_access_key_id": target.access_key_id,
            "aws_secret_access_key": target.secret_access_key.get_secret_value(),
            "aws_session_token": target.session_token.get_secret_value() or None,
        }
    return given


class StoppedError(Exception):
    """Nobody wants the upload any more."""


def _until(stop: threading.Event) -> Callable[[int], None]:
    """boto3 calls this with each piece; what it raises ends the upload and removes its parts."""

    def check(_: int) -> None:
        if stop.is_set():
            raise StoppedError

    return check
