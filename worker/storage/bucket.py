"""Uploads to S3 buckets: streamed from disk in parts, in a thread pool of their own."""

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
QUIETED_LOGGERS = ("boto3", "botocore", "s3transfer", "urllib3")
"""Loggers that are raised to INFO. At debug level they log signatures, session tokens and responses."""
REQUIRED_FIELDS = {
    "PutObject": "ETag",
    "CreateMultipartUpload": "UploadId",
    "UploadPart": "ETag",
    "CompleteMultipartUpload": "ETag",
}
"""A field that the response of each upload operation has, whatever the S3 product."""
RETRYABLE = frozenset({408, 425, 429})
"""Statuses below 500 after which a retry may succeed."""


@dataclass(frozen=True, slots=True)
class UrlOptions:
    """The form of the URLs of files in a bucket.

    With a `public_url` the URL of a file is `public_url`, a slash, and the key of the file. Otherwise it is a presigned
    URL that is valid for `life_s` seconds.
    """

    life_s: int
    public_url: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.life_s <= WEEK_S:
            raise StartupError(f"WORKER_S3_URL_LIFE={self.life_s}: write 1 to {WEEK_S} seconds, which is a week")


@dataclass(frozen=True, slots=True)
class S3Target(DeliveryTarget):
    """A bucket with its credentials. Both come from the operator, or both from the client.

    An empty `endpoint_url` means AWS.
    """

    bucket: str
    access_key_id: str = field(default="", repr=False)
    secret_access_key: SecretStr = field(default=NO_SECRET, repr=False)
    session_token: SecretStr = field(default=NO_SECRET, repr=False)
    endpoint_url: str = ""
    region: str = ""
    prefix: str = ""

    @property
    def address(self) -> str:
        """URL of the bucket's server. AWS has a host for each bucket."""
        return self.endpoint_url or f"https://{self.bucket}.s3.{self.region or 'us-east-1'}.amazonaws.com"


class Buckets:
    """Opens buckets, and owns the threads of their uploads. boto3 is imported with the first upload."""

    def __init__(self, keys: KeyTemplate, url_options: UrlOptions) -> None:
        self.installed = find_spec("boto3") is not None
        for name in QUIETED_LOGGERS:
            logging.getLogger(name).setLevel(logging.INFO)
        self._keys = keys
        self._url_options = url_options
        self._threads = ThreadPoolExecutor(JOBS_AT_ONCE, thread_name_prefix="s3")

    def operator_bucket(self, target: S3Target) -> Bucket:
        """Return the operator's bucket. Raises StartupError if boto3 is not installed."""
        if not self.installed:
            raise StartupError("WORKER_S3_BUCKET needs boto3: `pip install 'comfy-worker[s3]'` installs it")
        return Bucket(target, self._keys, self._url_options, self._threads)

    def client_bucket(self, target: S3Target, policy: Policy) -> Bucket:
        """Return a bucket that a request names. Its connections are limited to the addresses that `policy` allows.

        The operator's public URL does not apply to it. Raises DeliveryRefused if the request has no credentials for it.
        """
        if not target.access_key_id:
            raise DeliveryRefused("your own bucket needs your own credentials (`access_key_id`)")
        return Bucket(target, self._keys, UrlOptions(self._url_options.life_s), self._threads, policy)

    def close(self) -> None:
        """Cancel the queued uploads. Does not wait for running ones."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Bucket:
    """The `Storage` for one bucket.

    With a `policy` the bucket is a client's, and connections are limited to the addresses that the policy allows.
    """

    external = True

    def __init__(
        self,
        target: S3Target,
        keys: KeyTemplate,
        url_options: UrlOptions,
        threads: ThreadPoolExecutor,
        policy: Policy | None = None,
    ) -> None:
        self._target = target
        self._keys = keys
        self._url_options = url_options
        self._threads = threads
        self._policy = policy
        self._client_lock = threading.Lock()
        self._client: S3Client | None = None

    async def put(self, job: Job, output: Output, path: Path) -> str:
        """Upload the file at `path`, and return its URL. Cancelling this stops the upload.

        Raises DeliveryFailed, and DeliveryRefused if a client's bucket rejects the file for good.
        """
        key = self._keys.key(job, output, self._target.prefix)
        stop = threading.Event()
        uploading = asyncio.get_running_loop().run_in_executor(
            self._threads, self._upload, path, key, output.mime, stop
        )
        try:
            return await uploading
        except asyncio.CancelledError:
            stop.set()  # a thread cannot be cancelled
            raise

    def _upload(self, path: Path, key: str, mime: str, stop: threading.Event) -> str:
        """Upload a file in this thread, and return its URL.

        Raises StoppedError when `stop` is set, DeliveryFailed, and DeliveryRefused.
        """
        from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager
        from botocore.exceptions import BotoCoreError, ClientError

        config = TransferConfig(
            multipart_threshold=2 * PART,
            multipart_chunksize=PART,
            max_concurrency=PARTS_AT_ONCE,
            preferred_transfer_client="classic",
        )
        try:
            client = self._connected_client()
            bucket, headers = self._target.bucket, {"ContentType": mime}
            if disposition(mime) != "inline":
                headers["ContentDisposition"] = disposition(mime)
            # client.upload_file puts the path and the server's message into its error, and sometimes loses the code.
            with create_transfer_manager(client, config) as transfers:
                callbacks = [ProgressCallbackInvoker(_stop_check(stop))]
                transfers.upload(str(path), bucket, key, headers, callbacks).result()
            return self._url(client, key)
        except ClientError as error:
            raise self._delivery_error(error) from None
        except BotoCoreError as error:
            raise DeliveryFailed(f"the bucket cannot be reached: {type(error).__name__}") from None

    def _connected_client(self) -> S3Client:
        """Return the boto3 client of this bucket, which is created with the first upload and shared by all threads."""
        with self._client_lock:
            if self._client is None:
                self._client = connect(self._target, self._policy)
            return self._client

    def _url(self, client: S3Client, key: str) -> str:
        """Return the URL under which clients get the file with this key."""
        if self._url_options.public_url:
            return f"{self._url_options.public_url.rstrip('/')}/{quote(key)}"
        parameters = {"Bucket": self._target.bucket, "Key": key}
        return client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=self._url_options.life_s)

    def _delivery_error(self, error: ClientError) -> WorkerError:
        """Return the error for a response of the bucket that rejects a file.

        It is DeliveryRefused if the bucket is a client's and a retry cannot succeed, else DeliveryFailed.
        """
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        safe_code = "".join(letter for letter in code if letter.isalnum())[:60]  # the server may have sent any text
        is_final = 400 <= status < 500 and status not in RETRYABLE
        error_class = DeliveryRefused if is_final and self._policy is not None else DeliveryFailed
        return error_class(f"the bucket rejected the file: {status} {safe_code}")


def connect(target: S3Target, policy: Policy | None) -> S3Client:
    """Return a new boto3 client for a bucket. Each bucket has its own, so that credentials are never shared.

    With a `policy` the client connects only to the addresses that it allows.
    """
    import boto3
    from botocore.config import Config

    endpoint = Endpoint.of(target.endpoint_url, target.bucket) if target.endpoint_url else None
    options: dict[str, Any] = {
        "signature_version": "s3v4",
        # R2, GCS and older MinIO refuse the newer checksums. The signature contains a hash of the body in any case.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "retries": {"mode": "standard", "total_max_attempts": TRIES},
        "connect_timeout": 10,
        "read_timeout": 60,
        "max_pool_connections": JOBS_AT_ONCE * PARTS_AT_ONCE,
        "ignore_configured_endpoint_urls": True,
        # An explicit endpoint keeps its host, which is the checked one. "auto" could put the bucket into the host.
        "s3": {"addressing_style": endpoint.style if endpoint else "auto"},
    }
    client: S3Client = boto3.session.Session().client(
        "s3", config=Config(**options), region_name=target.region or "us-east-1", **_connection(target, endpoint)
    )
    for operation, field_name in REQUIRED_FIELDS.items():
        client.meta.events.register(f"after-call.s3.{operation}", partial(_check_response, field_name))
    if policy is not None:
        from worker.storage.pinned_transport import PinnedSender

        sender: Callable[..., Any] = PinnedSender(policy)
        client.meta.events.register("before-send.s3", sender)
    return client


def _check_response(field_name: str, http_response: AWSResponse, parsed: Mapping[str, Any], **_: object) -> None:
    """Raise DeliveryFailed if a successful response lacks `field_name`, which every S3 server sends.

    It may be the page of a proxy, and boto3 would treat the file as uploaded.
    """
    if http_response.status_code < 300 and field_name not in parsed:
        raise DeliveryFailed(f"the response of the bucket is not an S3 response: it has no {field_name}")


def _connection(target: S3Target, endpoint: Endpoint | None) -> dict[str, Any]:
    """Return boto3's options for the endpoint and the credentials.

    Without credentials in the settings boto3 uses those of the machine, such as environment variables or a role.
    """
    options: dict[str, Any] = {"endpoint_url": endpoint.url if endpoint else None}
    if target.access_key_id:
        options |= {
            "aws_access_key_id": target.access_key_id,
            "aws_secret_access_key": target.secret_access_key.get_secret_value(),
            "aws_session_token": target.session_token.get_secret_value() or None,
        }
    return options


class StoppedError(Exception):
    """An upload was cancelled."""


def _stop_check(stop: threading.Event) -> Callable[[int], None]:
    """Return a progress callback that raises StoppedError when `stop` is set.

    The exception makes boto3 end the upload and remove its parts.
    """

    def raise_if_stopped(_: int) -> None:
        """Raise StoppedError when the upload was cancelled. Called after each uploaded part of the data."""
        if stop.is_set():
            raise StoppedError

    return raise_if_stopped
