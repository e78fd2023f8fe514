"""Storage in S3 and compatible services: the operator's bucket, and buckets that requests name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from worker.delivery_options import NO_SECRET
from worker.errors import StartupError, TargetNotAllowed
from worker.events import DeliveryMethod
from worker.fetch.guard import Guard
from worker.fetch.policy import Policy
from worker.job import Output
from worker.settings import S3Settings, Settings
from worker.storage.allowed import check_url
from worker.storage.bucket import Bucket, Buckets, S3Target, UrlOptions
from worker.storage.endpoint import scheme_problem
from worker.storage.keys import KeyTemplate
from worker.storage.kind import StorageKind

BUCKET = r"^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$"
REGION = r"^[A-Za-z0-9-]{0,40}$"


def _checked_secret(secret: SecretStr) -> SecretStr:
    """Return the secret unchanged. Raises ValueError if it has characters that are not printable ASCII."""
    text = secret.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must contain printable ASCII characters only")
    return secret


def _checked_endpoint(url: str) -> str:
    """Return the URL unchanged. Raises ValueError if it has no scheme."""
    if problem := scheme_problem(url):
        raise ValueError(problem)
    return url


Key = Annotated[SecretStr, AfterValidator(_checked_secret)]


class S3Fields(BaseModel):
    """The client's own bucket, with its credentials. The operator's credentials are never used for it."""

    model_config = ConfigDict(extra="forbid")

    bucket: str = Field(pattern=BUCKET)
    access_key_id: str = Field(pattern=r"^[\x21-\x7e]{1,256}$")
    secret_access_key: Key = Field(min_length=1)
    session_token: Key = NO_SECRET
    endpoint_url: Annotated[str, AfterValidator(_checked_endpoint)] = Field(
        "",
        max_length=512,
        description="URL of an S3-compatible server, with or without the bucket. Empty means AWS.",
    )
    region: str = Field("", pattern=REGION)
    prefix: str = Field("", max_length=512, description="First part of every key.")

    def target(self) -> S3Target:
        """Return the bucket as a delivery target."""
        return S3Target(**dict(self))


@dataclass(frozen=True, slots=True)
class S3Provider:
    """The `StorageProvider` for buckets.

    `policy` names the hosts that clients' buckets may have. `bucket` is the operator's, or None.
    """

    buckets: Buckets
    policy: Policy
    bucket: S3Target | None

    def check(self, target: S3Target) -> None:
        """Check the host of a client's bucket before the job is queued.

        Raises UrlRefused or TargetNotAllowed if the host may not be used, or if boto3 is not installed.
        """
        check_url(self.policy, target.address)
        if not self.buckets.installed:
            raise TargetNotAllowed("this worker cannot write to buckets: it was installed without the extra `s3`")

    def open(self, target: S3Target, _: Sequence[Output]) -> Bucket:
        """Return a client's bucket. Raises DeliveryRefused if it has no credentials."""
        return self.buckets.client_bucket(target, self.policy)

    def operator_storage(self) -> Bucket | None:
        """Return the operator's bucket, or None if none is set. Raises StartupError if boto3 is not installed."""
        return self.buckets.operator_bucket(self.bucket) if self.bucket else None


@asynccontextmanager
async def _provider(settings: Settings, guard: Guard) -> AsyncIterator[S3Provider]:
    """Open the provider with the operator's settings, and cancel queued uploads at the end."""
    buckets = Buckets(KeyTemplate(settings.s3.key), UrlOptions(settings.s3.url_life_s, settings.s3.public_url))
    try:
        yield S3Provider(buckets, guard.policy, _operator_bucket(settings.s3))
    finally:
        buckets.close()


def _operator_bucket(settings: S3Settings) -> S3Target | None:
    """Return the bucket of the settings, or None if none is set. Raises StartupError if the endpoint has no scheme."""
    if not settings.bucket:
        return None
    if problem := scheme_problem(settings.endpoint):
        raise StartupError(f"WORKER_S3_ENDPOINT={problem}")
    return S3Target(
        settings.bucket,
        settings.access_key_id,
        settings.secret_access_key,
        settings.session_token,
        settings.endpoint,
        settings.region,
        settings.prefix,
    )


KIND = StorageKind(
    name="s3",
    field=(S3Fields, Field()),
    target=S3Fields.target,
    target_type=S3Target,
    method=DeliveryMethod.CLIENT_BUCKET,
    provider=_provider,
)
