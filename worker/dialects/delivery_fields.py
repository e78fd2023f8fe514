"""How a request says where its results go, in what form, and whom to tell: the fields, and what they become."""

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


def _signs(secret: SecretStr) -> SecretStr:
    signing_key(secret.get_secret_value())
    return secret


def _format_name(value: object) -> object:
    """`jpg`, `.JPG` and `image/jpeg` are all JPEG."""
    if not isinstance(value, str):
        return value
    name = value.strip().lower().removeprefix("image/").removeprefix(".")
    return "jpeg" if name in {"jpg", "jpe", "pjpeg"} else name


class ImageFields(BaseModel):
    """How pictures are wanted. Without this they come as ComfyUI wrote them."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[Literal["png", "jpeg", "webp"] | None, BeforeValidator(_format_name)] = Field(
        None, description="Of pictures; animated ones stay as is. `jpg` is jpeg, in any case, also as `image/jpg`."
    )
    quality: int | None = Field(None, ge=1, le=100, description="Of JPEG and WebP.")
    metadata: Literal["keep", "strip"] = Field("keep", description="Workflow, prompt and EXIF inside the picture.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.format == "png" and self.quality is not None:
            raise ValueError("PNG has no quality: leave it out, or ask for jpeg or webp")
        return self

    def wanted(self) -> ImageFormat:
        return ImageFormat(ImageType(self.format) if self.format else None, self.quality, self.metadata == "keep")


class WebhookFields(BaseModel):
    """Whom to tell of the job's end, in a message signed after the Standard Webhooks scheme."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=4096)
    secret: Annotated[SecretStr, AfterValidator(_signs)] | None = Field(
        None, description="`whsec_` and base64; without one the operator's signs."
    )

    def webhook(self) -> Webhook:
        return Webhook(self.url, self.secret or NO_SECRET)


class RunpodS3(BaseModel):
    """A bucket of the client's own, as RunPod's API names its fields."""

    model_config = ConfigDict(extra="ignore")

    accessId: str = ""  # noqa: N815 - RunPod's words
    accessSecret: SecretStr = NO_SECRET  # noqa: N815
    bucketName: str = ""  # noqa: N815
    endpointUrl: str = ""  # noqa: N815

    def fields(self) -> dict[str, Any]:
        """For S3Fields, which asks for what is missing."""
        given = {
            "bucket": self.bucketName,
            "access_key_id": self.accessId,
            "secret_access_key": self.accessSecret,
            "endpoint_url": self.endpointUrl,
        }
        return {name: value for name, value in given.items() if value}


class RunpodEnvelope(BaseModel):
    """What RunPod's API takes beside `input`."""

    model_config = ConfigDict(extra="ignore")

    webhook: str | None = Field(None, max_length=4096, description="URL to which the end of the job is posted.")
    s3Config: RunpodS3 | None = None  # noqa: N815 - RunPod's word

    def called(self) -> Webhook | None:
        """Return whom to tell of the job's end."""
        return Webhook(self.webhook) if self.webhook else None


class StockS3(BaseModel):
    """The stock template's section; it sends empty strings where it means none."""

    model_config = ConfigDict(extra="ignore")

    access_key_id: str | None = None
    secret_access_key: str | None = Field(None, repr=False)
    endpoint_url: str | None = None
    bucket_name: str | None = None
    region: str | None = None

    def fields(self) -> dict[str, Any] | None:
        """For S3Fields, which asks for what is missing. None where there is nothing."""
        given = {name: value for name, value in dict(self).items() if value}
        if not given.keys() - {"region"}:
            return None
        return {"bucket" if name == "bucket_name" else name: value for name, value in given.items()}


class StockWebhook(BaseModel):
    """The stock template's section: any text is a secret, and `extra_params` come back as `extra`."""

    model_config = ConfigDict(extra="ignore")

    url: str | None = Field(None, max_length=4096)
    extra_params: dict[str, Any] | None = None
    timeout: float | None = Field(None, gt=0, le=120)
    secret: SecretStr | None = None

    def webhook(self) -> Webhook | None:
        if not self.url:
            return None
        return Webhook(self.url, self.secret or NO_SECRET, self.extra_params or {}, self.timeout, stock=True)
