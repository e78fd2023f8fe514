"""Request fields for the delivery of results: their target, their format, and webhooks."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from worker.delivery_options import (
    NO_SECRET,
    ImageFormat,
    ImageType,
    Webhook,
    signing_key,
)

OutputFormat = Literal["base64", "url"]


def _check_secret(secret: SecretStr) -> SecretStr:
    """Return the secret unchanged. Raises ValueError if it cannot sign."""
    signing_key(secret.get_secret_value())
    return secret


def _format_name(value: object) -> object:
    """Return the canonical name of an image format: `jpg`, `.JPG` and `image/jpeg` become `jpeg`."""
    if not isinstance(value, str):
        return value
    name = value.strip().lower().removeprefix("image/").removeprefix(".")
    return "jpeg" if name in {"jpg", "jpe", "pjpeg"} else name


class ImageFields(BaseModel):
    """The requested form of output images. Without it they are delivered as ComfyUI wrote them."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[Literal["png", "jpeg", "webp"] | None, BeforeValidator(_format_name)] = Field(
        None,
        description="Format of still images; animated ones are not converted. `jpg` and `image/jpg` mean `jpeg`, in "
        "any case.",
    )
    quality: int | None = Field(None, ge=1, le=100, description="Quality of JPEG and WebP, 1 to 100.")
    metadata: Literal["keep", "strip"] = Field(
        "keep", description="Whether workflow, prompt and EXIF stay in the image."
    )

    @model_validator(mode="after")
    def _check_quality(self) -> Self:
        """Reject a quality for PNG."""
        if self.format == "png" and self.quality is not None:
            raise ValueError("PNG has no quality: leave it out, or request jpeg or webp")
        return self

    def to_image_format(self) -> ImageFormat:
        """Return the requested format of images."""
        return ImageFormat(ImageType(self.format) if self.format else None, self.quality, self.metadata == "keep")


class WebhookFields(BaseModel):
    """A webhook for the end of the job, signed as Standard Webhooks specifies."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=4096)
    secret: Annotated[SecretStr, AfterValidator(_check_secret)] | None = Field(
        None, description="`whsec_` and base64. Without it the secret of the operator is used."
    )

    def to_webhook(self) -> Webhook:
        """Return the webhook that these fields describe."""
        return Webhook(self.url, self.secret or NO_SECRET)


class RunpodS3(BaseModel):
    """A bucket of the client, with the field names of RunPod's API."""

    model_config = ConfigDict(extra="ignore")

    accessId: str = ""  # noqa: N815 - RunPod's field names
    accessSecret: SecretStr = NO_SECRET  # noqa: N815
    bucketName: str = ""  # noqa: N815
    endpointUrl: str = ""  # noqa: N815

    def fields(self) -> dict[str, Any]:
        """Return the fields that are set, under their native names. S3Fields reports those that are missing."""
        fields = {
            "bucket": self.bucketName,
            "access_key_id": self.accessId,
            "secret_access_key": self.accessSecret,
            "endpoint_url": self.endpointUrl,
        }
        return {name: value for name, value in fields.items() if value}


class RunpodEnvelope(BaseModel):
    """Fields of RunPod's API beside `input`."""

    model_config = ConfigDict(extra="ignore")

    webhook: str | None = Field(None, max_length=4096, description="URL that receives a POST when the job ends.")
    s3Config: RunpodS3 | None = None  # noqa: N815 - RunPod's field name

    def to_webhook(self) -> Webhook | None:
        """Return the webhook for the end of the job, or None."""
        return Webhook(self.webhook) if self.webhook else None


class StockS3(BaseModel):
    """The section `s3` of Vast's stock template. An empty string means that a field is not set."""

    model_config = ConfigDict(extra="ignore")

    access_key_id: str | None = None
    secret_access_key: str | None = Field(None, repr=False)
    endpoint_url: str | None = None
    bucket_name: str | None = None
    region: str | None = None

    def fields(self) -> dict[str, Any] | None:
        """Return the fields that are set, under their native names, or None if at most the region is set."""
        fields = {name: value for name, value in dict(self).items() if value}
        if not fields.keys() - {"region"}:
            return None
        return {"bucket" if name == "bucket_name" else name: value for name, value in fields.items()}


class StockWebhook(BaseModel):
    """The section `webhook` of Vast's stock template. Any text is a secret. `extra_params` are returned as `extra`."""

    model_config = ConfigDict(extra="ignore")

    url: str | None = Field(None, max_length=4096)
    extra_params: dict[str, Any] | None = None
    timeout: float | None = Field(None, gt=0, le=120)
    secret: SecretStr | None = None

    def to_webhook(self) -> Webhook | None:
        """Return the webhook, or None if there is no URL."""
        if not self.url:
            return None
        return Webhook(self.url, self.secret or NO_SECRET, self.extra_params or {}, self.timeout, stock=True)
