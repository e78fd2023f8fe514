"""Encodings, content types and Unicode forms of tools on Windows, macOS and no-code products."""

from __future__ import annotations

import base64
import io
import json
import unicodedata
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest

from tests.conftest import Client, shared_client
from tests.inputs.files import loading, noise, png
from tests.workflows import picture

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

BODY = {"workflow": picture(), "inputs": {"Müller – é.png": base64.b64encode(png()).decode()}}
TEXT = json.dumps(BODY, ensure_ascii=False)
LONG = json.dumps({**BODY, "inputs": {"ü.png": "A" * 200_000}}, ensure_ascii=False)
LARGE = base64.b64encode(noise()).decode()
NFC, NFD = (unicodedata.normalize(form, "Café ü.png") for form in ("NFC", "NFD"))

ENCODED = {
    "UTF-8 with a mark": (TEXT.encode("utf-8-sig"), "application/json"),
    "UTF-16 little-endian with a mark": (b"\xff\xfe" + TEXT.encode("utf-16-le"), "application/json"),
    "UTF-16 big-endian with a mark": (b"\xfe\xff" + TEXT.encode("utf-16-be"), "application/json"),
    "UTF-16 little-endian": (TEXT.encode("utf-16-le"), "application/json"),
    "UTF-16 big-endian": (TEXT.encode("utf-16-be"), ""),
    "UTF-32": (TEXT.encode("utf-32"), "application/json"),
    "UTF-16 as declared": (TEXT.encode("utf-16"), "application/json; charset=utf-16"),
    "UTF-8 though UTF-16 is declared": (TEXT.encode(), "application/json; charset=utf-16"),
    "cp1252": (TEXT.encode("cp1252"), "application/json; charset=windows-1252"),
    "Latin-1": (TEXT.replace("–", "-").encode("latin-1"), "text/plain; charset=ISO-8859-1"),
    "an encoding that nobody knows": (TEXT.encode(), "application/json; charset=utf8mb4"),
    "ASCII declared, UTF-8 sent": (TEXT.encode(), "application/json; charset=us-ascii"),
    "a line end": (TEXT.encode() + b"\r\n", "application/json"),
    "the zero of a C string": (TEXT.encode() + b"\0", "application/json"),
    "UTF-16 with a line end and a zero": ((TEXT + "\r\n\0").encode("utf-16"), "application/json"),
    "text/plain": (TEXT.encode(), "text/plain"),
    "a form that is JSON": (TEXT.encode(), "application/x-www-form-urlencoded"),
    "octets": (TEXT.encode(), "application/octet-stream"),
    "another kind of JSON": (TEXT.encode(), "application/vnd.api+json"),
    "nothing declared": (TEXT.encode(), ""),
}


async def post(client: Client, data: Any, content_type: str = "", path: str = "/generate/sync") -> tuple[int, Any]:
    headers = {"Content-Type": content_type} if content_type else {}
    skip = () if content_type or isinstance(data, aiohttp.FormData) else ("Content-Type",)
    url = client.app.url + path
    async with client.http.post(url, data=data, headers=headers, skip_auto_headers=skip) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("name", ENCODED)
async def test_bodies_in_any_encoding(client: Client, name: str) -> None:
    """The encoding is detected from the first bytes, else read from the header. Trailing bytes are ignored."""
    status, body = await post(client, *ENCODED[name])
    assert status == 200, body


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
async def test_a_long_body_in_another_encoding(client: Client, encoding: str) -> None:
    """Long strings of a body that is not UTF-8 are files."""
    assert (await post(client, LONG.encode(encoding)))[0] == 200


async def test_convert_and_deliver_read_encodings(client: Client) -> None:
    """Other routes with JSON accept the same encodings."""
    status, body = await post(client, json.dumps(picture()).encode("utf-16"), "application/json", "/convert")
    assert (status, sorted(body["prompt"])) == (200, ["1", "2"])


async def test_bytes_of_another_encoding_are_named(client: Client) -> None:
    """A body in cp1252 without a declared charset is rejected with the byte, the text around it and a remedy."""
    status, body = await post(client, TEXT.encode("cp1252"), "application/json")
    assert (status, body["error"]["code"]) == (400, "invalid_json")
    for part in ("0xfc", "near:", "ller", "charset=windows-1252"):
        assert part in body["error"]["message"]


async def test_bad_json_is_shown_with_its_surroundings(client: Client) -> None:
    """The error for invalid JSON has line, column, an excerpt and a remedy."""
    for filler in ("", "x" * 200_000):
        text = '{"a": "FILLER",\n "workflow": {"1": {"inputs": {"ckpt_name": "SD15\\LCM.safetensors"}}}}'
        _, body = await post(client, text.replace("FILLER", filler).encode())
        message = body["error"]["message"]
        assert "line 2" in message
        assert "SD15\\LCM.safetensors" in message
        assert "backslash" in message


@pytest.mark.parametrize("filler", ["", "x" * 200_000], ids=["short", "long"])
@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ('{"FILLER": 1, "cfg": NaN}', "JSON has no NaN"),
        ('{"FILLER": 1, "cfg": -Infinity}', "JSON has no NaN and no Infinity"),
        ("""{"FILLER": 1, 'cfg': 1}""", "json.dumps(body)"),
        ('{"FILLER": 1, "strict": True}', "json.dumps(body)"),
        ('{"FILLER": 1, "strict": undefined}', "leave the field out"),
        ('{"FILLER": 1, // a note\n"strict": true}', "JSON has no comments"),
        ("[object Object]", "JSON.stringify"),
        ("'{workflow: {}}'", "curl -d @body.json"),
    ],
)
async def test_what_other_languages_write_is_refused_by_name(client: Client, text: str, cure: str, filler: str) -> None:
    """Python's and JavaScript's output that is not JSON is rejected with a remedy."""
    status, body = await post(client, text.replace('"FILLER"', f'"a": "{filler}", "b"').encode())
    assert (status, body["error"]["code"]) == (400, "invalid_json")
    assert cure in body["error"]["message"]


@pytest.mark.parametrize(("named", "sent"), [(NFC, NFD), (NFD, NFC)])
async def test_names_of_files_in_either_unicode_form(client: Client, named: str, sent: str) -> None:
    """A file is found under its name in either Unicode form, in JSON and as a part."""
    body = {"workflow": loading(named), "inputs": {sent: base64.b64encode(png()).decode()}}
    status, answer = await client.post("/generate/sync", body)
    assert status == 200, answer
    form = aiohttp.FormData()
    form.add_field("request", json.dumps({"workflow": loading(named)}))
    form.add_field(sent, png(), filename=sent)
    status, answer = await post(client, form)
    assert status == 200, answer


WORKFLOW = json.dumps(picture())
FORMS = {
    "fields": urlencode({"workflow": WORKFLOW, "output_format": "url", "timeout_s": "30"}),
    "a workflow and its files": urlencode(
        {
            "workflow": json.dumps(loading("a.png")),
            "inputs": json.dumps({"a.png": base64.b64encode(png()).decode()}),
        }
    ),
    "a whole request in a field": urlencode({"payload": json.dumps({"workflow": picture()})}),
    "JSON that was encoded as a whole": quote(json.dumps({"workflow": picture()})),
    "RunPod's in a field": urlencode({"input": json.dumps({"workflow": picture()})}),
}


@pytest.mark.parametrize("name", FORMS)
async def test_url_encoded_forms(client: Client, name: str) -> None:
    """A URL-encoded form has the fields of a request, or one field with all of it."""
    status, body = await post(client, FORMS[name].encode(), "application/x-www-form-urlencoded")
    assert status == 200, body


async def test_a_form_in_a_declared_encoding(client: Client) -> None:
    """The charset of the header is not applied to JSON that was made from a form."""
    form = urlencode({"workflow": json.dumps(loading("é.png")), "inputs": json.dumps({"é.png": LARGE})})
    data = io.BytesIO(b" \n" * 100_000 + form.encode())
    status, body = await post(client, data, "application/x-www-form-urlencoded; charset=ISO-8859-1")
    assert status == 200, body
    status, body = await post(client, io.BytesIO(b"{}"), "application/x-www-form-urlencoded")
    assert status == 400, body


async def test_a_form_that_is_too_large(client: Client) -> None:
    """A form above its limit is rejected."""
    data = io.BytesIO(b"workflow=" + b"a" * 5_000_000)
    status, body = await post(client, data, "application/x-www-form-urlencoded")
    assert (status, body["error"]["code"]) == (413, "body_too_large")


async def test_a_list_of_one_request(client: Client) -> None:
    """A list with one request is accepted."""
    assert (await client.post("/generate/sync", [{"workflow": picture()}]))[0] == 200
    assert (await client.post("/generate/sync", [{"workflow": loading("a.png"), "inputs": {"a.png": LARGE}}]))[0] == 200
    assert (await client.post("/generate/sync", [{"workflow": picture()}] * 2))[0] == 400


async def test_a_name_with_the_narrow_space_of_macos(client: Client) -> None:
    """A name with U+202F matches the same name with a plain space."""
    body = {"workflow": loading("Shot at 9.41 AM.png"), "inputs": {"Shot at 9.41\u202fAM.png": LARGE}}
    assert (await client.post("/generate/sync", body))[0] == 200


def parts(*pairs: tuple[str, bytes]) -> bytes:
    """Return a multipart body with these headers and contents."""
    return b"".join(b"--x\r\n%b\r\n\r\n%b\r\n" % (head.encode("latin-1"), body) for head, body in pairs) + b"--x--\r\n"


DISPOSITION = 'Content-Disposition: form-data; name="{}"'
MULTIPART = {
    "a workflow as a file": [(DISPOSITION.format("workflow") + '; filename="w.json"', json.dumps(picture()).encode())],
    "a prompt": [(DISPOSITION.format("prompt"), json.dumps(picture()).encode())],
    "a workflow of PowerShell's": [(DISPOSITION.format("workflow"), json.dumps(picture()).encode("utf-16"))],
    "a workflow beside a request": [
        (DISPOSITION.format("request"), b'{"output_format": "url"}'),
        (DISPOSITION.format("workflow"), json.dumps(picture()).encode()),
    ],
    "a declared charset": [
        (
            DISPOSITION.format("request") + "\r\nContent-Type: application/json; charset=windows-1252",
            json.dumps(
                {"workflow": loading("é.png"), "inputs": {"é.png": base64.b64encode(png()).decode()}},
                ensure_ascii=False,
            ).encode("cp1252"),
        ),
    ],
    "a name as .NET writes it": [
        (DISPOSITION.format("request"), json.dumps({"workflow": loading("é.png")}).encode()),
        (DISPOSITION.format("=?utf-8?B?w6kucG5n?="), png()),
    ],
    "a name that only looks like one of .NET's": [
        (DISPOSITION.format("request"), json.dumps({"workflow": loading("=?utf-8?B?a?=")}).encode()),
        (DISPOSITION.format("=?utf-8?B?a?="), png()),
    ],
    "a name in the machine's encoding": [
        (DISPOSITION.format("request"), json.dumps({"workflow": loading("é.png")}).encode()),
        (DISPOSITION.format("é.png"), png()),
    ],
}


@pytest.mark.parametrize("name", MULTIPART)
async def test_multipart_forms(client: Client, name: str) -> None:
    """The workflow may be a part of its own, and names of parts may be encoded as other systems do."""
    status, body = await post(client, parts(*MULTIPART[name]), "multipart/form-data; boundary=x")
    assert status == 200, body
