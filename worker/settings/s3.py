"""The bucket of the operator, and which others requests may name."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Durations are seconds, sizes MiB."""

    bucket: str = setting(
        "WORKER_S3_BUCKET", "", "bucket for outputs that are asked for by URL", "S3_BUCKET_NAME", flat="s3_bucket"
    )
    endpoint: str = setting(
        "WORKER_S3_ENDPOINT", "", "S3-compatible server; empty: AWS", "S3_ENDPOINT_URL", flat="s3_endpoint"
    )
    region: str = setting("WORKER_S3_REGION", "", "region of the bucket", "S3_REGION", "AWS_REGION", flat="s3_region")
    access_key_id: str = setting(
        "AWS_ACCESS_KEY_ID",
        "",
        "key to the bucket; empty: boto3's default credentials",
        "S3_ACCESS_KEY_ID",
        flat="s3_access_key_id",
    )
    secret_access_key: SecretStr = setting(
        "AWS_SECRET_ACCESS_KEY", SecretStr(""), "the key's secret", "S3_SECRET_ACCESS_KEY", flat="s3_secret_access_key"
    )
    session_token: SecretStr = setting(
        "AWS_SESSION_TOKEN", SecretStr(""), "where the key is a temporary one", flat="s3_session_token"
    )
    prefix: str = setting("WORKER_S3_PREFIX", "", "first part of every key in the bucket", flat="s3_prefix")
    key: str = setting(
        "WORKER_S3_KEY",
        "{prefix}/{date}/{id}/{job}/{filename}",
        "key of a file in the bucket; {job} is never the same twice; also {node}, {index}",
        flat="s3_key",
    )
    url_life_s: int = setting(
        "WORKER_S3_URL_LIFE", 86400, "how long a presigned URL opens; at most a week", flat="s3_url_life_s"
    )
    public_url: str = setting(
        "WORKER_S3_PUBLIC_URL",
        "",
        "where the bucket is public: URLs are this and the key, not presigned",
        flat="s3_public_url",
    )
    allowed_hosts: str = setting(
        "WORKER_S3_ALLOWED_HOSTS",
        "",
        "hosts that requests may name for their outputs: `*.amazonaws.com, s3.example.com`",
        flat="s3_allowed_hosts",
    )
