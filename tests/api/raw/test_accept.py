"""Which file of a job an `Accept` header selects."""

from __future__ import annotations

import pytest

from worker.api.raw.accept import ANY_FILE, AcceptHeader
from worker.job import Output

PICTURE = Output(0, "2", "image", "a.png", mime="image/png")
WEBP = Output(1, "3", "image", "b.webp", mime="image/webp")
CLIP = Output(2, "4", "video", "c.mp4", mime="video/mp4")
LATENT = Output(3, "5", "latent", "d.latent", mime=ANY_FILE)
UNKNOWN = Output(4, "6", "video", "e.mkv", mime=ANY_FILE)
TEXT = Output(5, "7", "text", "", mime="text/plain", text="x")
OUTPUTS = [TEXT, PICTURE, WEBP, CLIP, LATENT]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "*/*",
        "application/json",
        "application/*",
        "application/json, text/plain, */*",
        "image/*;q=0.8, application/json",
        "image/*, application/json",
        "image/*, */*",
        "image/*;q=0.5, */*;q=0.5",
        "text/html",
        "text/event-stream",
        "image/*;q=0",
        "image",
        "image/*;q=2",
        "image/*;q=high",
    ],
)
def test_json_is_the_answer(header: str) -> None:
    """JSON is sent without a header, if JSON has at least the same quality, and for malformed elements."""
    assert not AcceptHeader.read([header] if header else []).prefers_files


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("image/*", PICTURE),
        ("IMAGE/*", PICTURE),
        ("video/*", CLIP),
        ("image/webp", WEBP),
        ("image/png;q=0.5, image/webp", WEBP),
        ("image/webp, image/png", PICTURE),
        ("image/*, image/png;q=0", WEBP),
        ("image/*, image/png;q=0.1", WEBP),
        ("image/*;q=0.9, */*;q=0.8", PICTURE),
        ("text/html, image/avif, image/webp, */*;q=0.8", WEBP),
        ("application/json;q=0.4, video/mp4;q=0.5", CLIP),
        ('image/webp;note="a, b";q=0.3, image/png ; q=0.4', PICTURE),
        ("audio/*", None),
        ("image/webp;q=0.1, application/json;q=0.5, video/webm", None),
    ],
)
def test_the_file_with_the_highest_quality_is_chosen(header: str, expected: Output | None) -> None:
    """The first file with the highest quality is sent, by the most precise range for its type."""
    accepted = AcceptHeader.read([header])
    assert accepted.prefers_files
    choice = accepted.choose(OUTPUTS)
    assert (choice and choice.output) == expected
    assert choice is None or choice.content_type == choice.output.mime


def test_several_headers_are_one_list() -> None:
    """Several `Accept` headers are combined to one list (RFC 9110)."""
    choice = AcceptHeader.read(["image/png;q=0.1", "video/*"]).choose(OUTPUTS)
    assert choice is not None
    assert choice.output is CLIP


def test_octet_stream_is_any_file() -> None:
    """`application/octet-stream` selects any file. A file with an accepted type precedes, under that type."""
    accepted = AcceptHeader.read([ANY_FILE])
    latent, picture = accepted.choose(OUTPUTS), accepted.choose([TEXT, PICTURE])
    assert latent is not None
    assert picture is not None
    assert latent.output is LATENT
    assert (picture.output, picture.content_type) == (PICTURE, ANY_FILE)
    assert accepted.choose([TEXT]) is None


def test_a_file_of_an_unknown_type_is_known_by_its_kind() -> None:
    """A file without a known type is selected by its kind."""
    choice = AcceptHeader.read(["video/*"]).choose([PICTURE, UNKNOWN])
    assert choice is not None
    assert choice.output is UNKNOWN
