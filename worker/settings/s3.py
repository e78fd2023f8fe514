"""Settings for the operator's S3 bucket, and for the buckets that requests may name."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Settings for S3. Durations are in seconds."""

    bucket: str = setting(
        "WORKER_S3_BUCKET",
        "",
        "Bucket for outputs that are requested by URL. Empty means that the worker itself serves them.",
        "S3_BUCKET_NAME",
        flat="s3_bucket",
    )
    endpoint: str = setting(
        "WORKER_S3_ENDPOINT",
        "",
        "URL of the S3-compatible server. Empty means AWS.",
        "S3_ENDPOINT_URL",
        flat="s3_endpoint",
    )
    region: str = setting("WORKER_S3_REGION", "", "Region of the bucket.", "S3_REGION", "AWS_REGION", flat="s3_region")
    access_key_id: str = setting(
        "AWS_ACCESS_KEY_ID",
        "",
        "Access key of the bucket. Empty means boto3's default credentials.",
        "S3_ACCESS_KEY_ID",
        flat="s3_access_key_id",
    )
    secret_access_key: SecretStr = setting(
        "AWS_SECRET_ACCESS_KEY",
        SecretStr(""),
        "Secret of the access key.",
        "S3_SECRET_ACCESS_KEY",
        flat="s3_secret_access_key",
    )
    session_token: SecretStr = setting(
        "AWS_SESSION_TOKEN", SecretStr(""), "Session token of a temporary access key.", flat="s3_session_token"
    )
    prefix: str = setting("WORKER_S3_PREFIX", "", "First part of every key in the bucket.", flat="s3_prefix")
    key: str = setting(
        "WORKER_S3_KEY",
        "{prefix}/{date}/{id}/{job}/{filename}",
        "Pattern of the keys in the bucket. {job} is different for each job. The pattern can also contain "
        "{node}, {index}, {month} and {short_name}.",
        flat="s3_key",
    )
    url_life_s: int = setting(
        "WORKER_S3_URL_LIFE", 86400, "Seconds for which a presigned URL is valid, at most a week.", flat="s3_url_life_s"
    )
    public_url: str = setting(
        "WORKER_S3_PUBLIC_URL",
        "",
        "URL of a public bucket. If it is set, the URL of an output is this URL followed by the key, without "
        "a signature.",
        flat="s3_public_url",
    )
    bucket_url: str = setting(
        "BUCKET_ENDPOINT_URL",
        "",
        "worker-comfyui's variable: URL of the S3-compatible server with the bucket, in its path or its host. It is "
        "used if WORKER_S3_ENDPOINT and WORKER_S3_BUCKET name no other bucket. Then keys are "
        "`{prefix}/{month}/{id}/{short_name}` and URLs are valid for a week, unless WORKER_S3_KEY and "
        "WORKER_S3_URL_LIFE are set.",
        flat="bucket_endpoint",
    )
    bucket_access_key_id: SecretStr = setting(
        "BUCKET_ACCESS_KEY_ID", SecretStr(""), "Access key of the bucket in BUCKET_ENDPOINT_URL."
    )
    bucket_secret_access_key: SecretStr = setting(
        "BUCKET_SECRET_ACCESS_KEY", SecretStr(""), "Secret of this access key."
    )
    allowed_hosts: str = setting(
        "WORKER_S3_ALLOWED_HOSTS",
        "",
        "Hosts to which requests may send their outputs: `*.amazonaws.com, s3.example.com`.",
        flat="s3_allowed_hosts",
    )
