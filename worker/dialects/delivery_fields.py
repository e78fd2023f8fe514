"""How a request says where its results go, in what form, and whom to tell: the fields, and what they become."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

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


class ImageFields(BaseModel):
    """How pictures are wanted. Without this they come as ComfyUI wrote them."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["png", "jpeg", "webp"] | None = Field(None, description="Of pictures; animated ones stay as is.")
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
