"""Long strings as base64, text, and part of the fingerprint."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import random
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tests.bodies.chunks import LARGE, SMALL, cut, files, scanned
from worker.bodies import BodyLimits, Content, ScannedBody, SpooledText, SpoolFolder, decode_base64
from worker.bodies.base64_file import decode_base64_file
from worker.errors import BodyTooLarge, NotBase64

LONG = "abcdefghijklmnop"
QUICK = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ALMOST = st.text(alphabet="AQZ09+/=\n -_é", max_size=24) | st.from_regex(r"[AQ+/9]{0,9}={0,5}", fullmatch=True)


STANDARD = str.maketrans({"-": "+", "_": "/", " ": None, "\n": None})


class ContentModel(BaseModel):
    inputs: dict[str, Content]
    id: str = ""


@given(ALMOST | st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()))
@QUICK
def test_base64_is_accepted_as_the_standard_library_does(tmp_path: Path, text: str) -> None:
    """Normalized base64 is accepted exactly if `base64.b64decode` accepts it."""
    bare = text.translate(STANDARD).rstrip("=")
    source, target = tmp_path / "text", tmp_path / "data"
    source.write_text(text, "utf-8")
    try:
        expected = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        with pytest.raises(NotBase64):
            decode_base64_file(source, target)
        assert files(tmp_path) == [source]
        source.unlink()
        return
    assert decode_base64_file(source, target) == (len(expected), hashlib.sha256(expected).hexdigest())
    assert target.read_bytes() == expected
    assert files(tmp_path) == [target]
    target.unlink()


@pytest.mark.parametrize("size", [196_607, 196_608, 196_609, 700_000])
@pytest.mark.parametrize("head", ["", "data:image/png;base64,", "data:;charset=x;base64,"])
async def test_long_base64_is_decoded_in_pieces(tmp_path: Path, size: int, head: str) -> None:
    """Files around the size of a piece are decoded, with and without the head of a data URI."""
    data = bytes(range(256)) * (size // 256 + 1)
    body = orjson.dumps({"a": head + base64.b64encode(data[:size]).decode()})
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned(cut(body, 65_536), folder, LARGE)
        decoded = await scan.value["a"].decode_base64()
        assert decoded.size == size
        assert decoded.path.read_bytes() == data[:size]
        assert files(tmp_path) == [decoded.path]
        with pytest.raises(FileNotFoundError):  # a second time
            await scan.value["a"].decode_base64()
        assert files(tmp_path) == [decoded.path]


FORMS = {
    "wrapped as MIME does": lambda data: base64.encodebytes(data).decode(),
    "wrapped with CRLF": lambda data: base64.encodebytes(data).decode().replace("\n", "\r\n"),
    "URL-safe without padding": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "data URI with parameters": lambda data: (
        'DATA:Image/PNG;charset=utf-8;name="a, b;.png";BASE64, ' + base64.b64encode(data).decode()
    ),
    "escaped twice": lambda data: base64.encodebytes(data).decode().replace("/", "\\/").replace("\n", "\\n"),
    "escaped three times": lambda data: base64.encodebytes(data).decode().replace("\n", "\\\\r\\\\n"),
    "escaped twice by .NET": lambda data: base64.b64encode(data).decode().replace("+", "\\u002B"),
    "data URI that was escaped twice": lambda data: (
        "data:image\\/png;base64," + base64.b64encode(data).decode().replace("/", "\\/")
    ),
    "percent-encoded data URI": lambda data: "data:image/png;base64," + quote(base64.b64encode(data).decode(), ""),
}


@pytest.mark.parametrize("size", [1, 47, 3000, 300_000])
@pytest.mark.parametrize("form", FORMS)
async def test_base64_in_the_forms_that_clients_send(tmp_path: Path, form: str, size: int) -> None:
    """Line breaks, missing padding, the URL-safe alphabet and odd data URIs are decoded."""
    data = random.Random(size).randbytes(size)
    text = FORMS[form](data)
    assert decode_base64(text) == data
    source, target = tmp_path / "text", tmp_path / "data"
    source.write_text(text, "utf-8", newline="")
    decode_base64_file(source, target)
    assert target.read_bytes() == data


@pytest.mark.parametrize("size", [300, 300_000])
def test_spaces_in_place_of_plus_are_refused(tmp_path: Path, size: int) -> None:
    """Base64 with spaces instead of `+` is rejected. Lines that a shell joined with spaces are accepted."""
    data = random.Random(size).randbytes(size)
    standard = base64.b64encode(data).decode()
    source = tmp_path / "text"
    source.write_text(standard.replace("+", " "))
    with pytest.raises(ValueError, match="in place of '\\+'"):
        decode_base64(source.read_text())
    with pytest.raises(NotBase64, match="in place of '\\+'"):
        decode_base64_file(source, tmp_path / "data")
    for joined in (base64.encodebytes(data).decode().replace("\n", " "), standard):
        assert decode_base64(joined) == data
    lines = base64.encodebytes(bytes(size)).decode().replace("\n", " ")
    assert decode_base64(lines) == bytes(size)


@pytest.mark.parametrize("at", [262_143, 262_144, 262_145, 400_000])
async def test_padding_ends_base64(tmp_path: Path, at: int) -> None:
    """Text after padding is rejected, also at the border of a piece, and the text can still be read."""
    text = "A" * (at - 2) + "==" + "A" * (600_000 - at)
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned([orjson.dumps([text])], folder, LARGE)
        with pytest.raises(NotBase64):
            await scan.value[0].decode_base64()
        assert await scan.value[0].text(600_000) == text


async def test_text_has_a_bound(tmp_path: Path) -> None:
    """A string is read back unchanged, up to the limit."""
    text = "line\r\nline\nline\r" + "é" * 10
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned([orjson.dumps({"a": text})], folder)
        assert await scan.value["a"].text(100) == text
        with pytest.raises(BodyTooLarge, match="the text at a has 36 bytes"):
            await scan.value["a"].text(35)


async def test_restored_texts_are_strings_again(tmp_path: Path) -> None:
    """Long strings outside the location of files become `str`, up to a total limit."""
    value = {"workflow": {"1": {"inputs": {"text": LONG}}}, "inputs": {"a.png": LONG}, "list": [[LONG]]}
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned([orjson.dumps(value)], folder)
        await scan.restore_texts(files_under=("inputs",))
        assert [text.location for text in scan.spooled] == [("inputs", "a.png")]
        assert {**scan.value, "inputs": value["inputs"]} == value
        await scan.restore_texts()
        assert (scan.value, scan.spooled) == (value, [])
        tight = BodyLimits(total=1000, text=8, max_restored=len(LONG) * 2)
        scan = await scanned([orjson.dumps(value)], folder, tight)
        with pytest.raises(BodyTooLarge, match=r"the text at .* has 16 bytes"):
            await scan.restore_texts()


async def test_a_field_says_whether_it_takes_long_strings(tmp_path: Path) -> None:
    """`Content` accepts a long string and has the schema and errors of `str`. A plain field rejects it."""
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned([orjson.dumps({"inputs": {"a": LONG, "b": "short"}})], folder)
        request = ContentModel.model_validate(scan.value)
        assert request.inputs == {"a": scan.spooled[0], "b": "short"}
        with pytest.raises(ValidationError, match="Input should be a valid string"):
            ContentModel.model_validate({"inputs": {}, "id": scan.spooled[0]})
        for dumps in (orjson.dumps, json.dumps):
            with pytest.raises(TypeError):
                dumps(scan.spooled)
    with pytest.raises(ValidationError) as caught:
        ContentModel.model_validate({"inputs": {"a": 3}})
    assert [error["loc"] for error in caught.value.errors()] == [("inputs", "a")]
    assert ContentModel.model_json_schema()["properties"]["inputs"]["additionalProperties"] == {"type": "string"}


async def printed(folder: SpoolFolder, body: str | bytes, limits: BodyLimits = SMALL) -> str:
    scan: ScannedBody = await scanned(cut(body.encode() if isinstance(body, str) else body, 9), folder, limits)
    return scan.fingerprint()


async def test_the_fingerprint_is_of_the_value(tmp_path: Path) -> None:
    """The fingerprint is independent of key order, white space and escapes."""
    value = {"b": ["ééééééééé", {"x": LONG}], "a": LONG + "b", "c": 1}
    async with SpoolFolder(tmp_path) as folder:
        prints = {
            await printed(folder, orjson.dumps(value)),
            await printed(folder, json.dumps(value, indent=2, sort_keys=True)),
            await printed(folder, json.dumps(value).replace("a", "\\u0061")),
        }
    assert len(prints) == 1


async def test_other_values_have_other_fingerprints(tmp_path: Path) -> None:
    """Another text, location, null, or a hash as value has another fingerprint."""
    values = [[LONG, None], [None, LONG], [LONG + "x", None], [None, None], [LONG, LONG], {"a": LONG}, {"b": LONG}]
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned([orjson.dumps([LONG])], folder)
        text: SpooledText = scan.spooled[0]
        values += [[text.sha256], [[["0"], text.sha256]], [[0], text.sha256]]
        prints = [await printed(folder, orjson.dumps(value), BodyLimits(total=1000, text=8)) for value in values]
    assert len(set(prints)) == len(values)
