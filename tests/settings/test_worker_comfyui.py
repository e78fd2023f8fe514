"""Variables of worker-comfyui and placeholders of RunPod's secrets."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.cli.terminal import cli
from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.storage.buckets import KEY_ID, SECRET, WholeBucket, whole_bucket
from tests.workflows import picture
from worker.errors import StartupError
from worker.settings import Settings, engine_environment
from worker.settings.compatibility.bucket_url import bucket_in, region_in
from worker.settings.compatibility.contradictions import contradictions

KEYS = {"BUCKET_ACCESS_KEY_ID": KEY_ID, "BUCKET_SECRET_ACCESS_KEY": SECRET}


@pytest.mark.parametrize(
    ("url", "bucket", "region"),
    [
        ("https://pics.s3.eu-west-1.amazonaws.com", "pics", "eu-west-1"),
        ("https://my.pics.s3.eu-west-1.amazonaws.com/", "my.pics", "eu-west-1"),
        ("https://pics.s3.amazonaws.com", "pics", ""),
        ("https://pics.s3-us-west-2.amazonaws.com", "pics", "us-west-2"),
        ("https://pics.s3.dualstack.us-west-2.amazonaws.com", "pics", "us-west-2"),
        ("https://s3.eu-west-1.amazonaws.com/pics", "pics", "eu-west-1"),
        ("https://s3.eu-west-1.amazonaws.com", "", "eu-west-1"),
        ("https://pics.nyc3.digitaloceanspaces.com", "pics", "nyc3"),
        ("https://nyc3.digitaloceanspaces.com", "", "nyc3"),
        ("https://pics.s3.us-west-004.backblazeb2.com", "pics", "us-west-004"),
        ("https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com/pics", "pics", ""),
        ("https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com", "", ""),
        ("https://s3api-eu-ro-1.runpod.io/volume1", "volume1", ""),
        ("https://s3api-eu-ro-1.runpod.io", "", ""),
        ("https://pics.storage.googleapis.com", "pics", ""),
        ("https://storage.googleapis.com/pics/", "pics", ""),
        ("https://minio.example.com:9000/store/pics", "pics", ""),
        ("https://minio.example.com", "", ""),
        ("https://s3.minio.example.com/pics", "pics", ""),
        ("https://s3.fr-par.scw.cloud/pics", "pics", "fr-par"),
        ("http://127.0.0.1:9000", "", ""),
        ("http://127.0.0.1:9000/pics", "pics", ""),
    ],
)
def test_the_bucket_in_a_url(url: str, bucket: str, region: str) -> None:
    """The bucket is the last part of the path, or the first part of a known service's host."""
    assert (bucket_in(url), region_in(url)) == (bucket, region)


def test_bucket_variables_are_one_bucket() -> None:
    """BUCKET_* alone configure bucket, endpoint, keys, region, key pattern and a week for URLs."""
    url = "https://pics.s3.eu-west-1.amazonaws.com"
    s3 = Settings.from_env({"BUCKET_ENDPOINT_URL": url, **KEYS}).s3
    assert (s3.bucket, s3.endpoint, s3.region, s3.access_key_id) == ("pics", url, "eu-west-1", KEY_ID)
    assert s3.secret_access_key.get_secret_value() == SECRET
    assert (s3.key, s3.url_life_s) == ("{prefix}/{month}/{id}/{short_name}", 604800)
    own = {"WORKER_S3_KEY": "{job}/{filename}", "WORKER_S3_URL_LIFE": "60", "WORKER_S3_REGION": "eu-central-1"}
    s3 = Settings.from_env({"BUCKET_ENDPOINT_URL": url, **KEYS, **own}).s3
    assert (s3.key, s3.url_life_s, s3.region) == ("{job}/{filename}", 60, "eu-central-1")


def test_our_bucket_wins() -> None:
    """WORKER_S3_* name another bucket, which is used alone, and the log says so."""
    environ = {"BUCKET_ENDPOINT_URL": "https://pics.s3.amazonaws.com", **KEYS, "WORKER_S3_BUCKET": "ours"}
    s3 = Settings.from_env(environ).s3
    assert (s3.bucket, s3.endpoint, s3.access_key_id) == ("ours", "", "")
    theirs = "BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID, BUCKET_SECRET_ACCESS_KEY"
    assert said(environ) == [f"WORKER_S3_BUCKET is used, and {theirs} have no effect"]
    s3 = Settings.from_env({**environ, "WORKER_S3_ENDPOINT": "https://minio.example.com"}).s3
    assert (s3.bucket, s3.endpoint, s3.access_key_id) == ("ours", "https://minio.example.com", "")


def test_the_bucket_may_have_a_name_of_ours() -> None:
    """WORKER_S3_BUCKET names the bucket that BUCKET_ENDPOINT_URL does not, with the keys of BUCKET_*."""
    environ = {"BUCKET_ENDPOINT_URL": "https://minio.example.com", **KEYS, "WORKER_S3_BUCKET": "pics"}
    environ |= {"AWS_ACCESS_KEY_ID": "AKIDOTHER", "AWS_SECRET_ACCESS_KEY": "other-secret", "AWS_SESSION_TOKEN": "t"}
    s3 = Settings.from_env(environ).s3
    assert (s3.bucket, s3.endpoint, s3.access_key_id) == ("pics", "https://minio.example.com", KEY_ID)
    assert s3.session_token.get_secret_value() == ""
    [sentence] = said(environ)
    assert "BUCKET_ACCESS_KEY_ID is used" in sentence
    assert not {SECRET, "other-secret", KEY_ID} & set(sentence.split())


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"BUCKET_ENDPOINT_URL": "https://s3.amazonaws.com", **KEYS}, "append it, as in https://host/bucket"),
        ({"BUCKET_ENDPOINT_URL": "https://pics.example.com", **KEYS}, "WORKER_S3_BUCKET"),
        ({"BUCKET_ENDPOINT_URL": "https://h/pics", "BUCKET_ACCESS_KEY_ID": "a"}, "BUCKET_SECRET_ACCESS_KEY is not set"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_refused(environ: dict[str, str], message: str) -> None:
    """The worker does not start without the name of the bucket, or with one of two keys."""
    with pytest.raises(StartupError, match=message):
        Settings.from_env(environ)


def said(environ: dict[str, str]) -> list[str]:
    """Return the sentences about contradictions."""
    return list(contradictions(environ, Settings.fields_by_name()))


def test_two_names_of_one_setting() -> None:
    """The worker's own variable wins, and the log names the other one with its value unless it is a secret."""
    environ = {"WORKER_LOG_LEVEL": "info", "COMFY_LOG_LEVEL": "DEBUG"}
    assert Settings.from_env(environ).log_level == "info"
    assert said(environ) == ["WORKER_LOG_LEVEL=info is used, and COMFY_LOG_LEVEL=DEBUG has no effect"]
    assert said({"WORKER_LOG_LEVEL": "debug", "COMFY_LOG_LEVEL": "DEBUG"}) == []
    assert Settings.from_env({"COMFY_LOG_LEVEL": "ERROR"}).log_level == "ERROR"
    assert Settings.from_env({"NETWORK_VOLUME_DEBUG": "true"}).models.volume_debug
    [sentence] = said({"WORKER_S3_ENDPOINT": "https://a:pass@host", "S3_ENDPOINT_URL": "https://other"})
    assert "pass" not in sentence
    [sentence] = said({"AWS_SECRET_ACCESS_KEY": "one-secret", "S3_SECRET_ACCESS_KEY": "other-secret"})
    assert "secret" not in sentence.replace("SECRET", "")


def test_serve_api_locally_opens_port_8000() -> None:
    """SERVE_API_LOCALLY sets address and port, unless ours are set."""
    server = Settings.from_env({"SERVE_API_LOCALLY": "true"}).server
    assert (server.host, server.port) == ("0.0.0.0", 8000)  # noqa: S104
    server = Settings.from_env({"SERVE_API_LOCALLY": "true", "WORKER_GATEWAY_HOST": "127.0.0.1"}, port=0).server
    assert (server.host, server.port) == ("127.0.0.1", 0)
    assert Settings.from_env({"SERVE_API_LOCALLY": "false"}).server.port == 18288


def test_serve_api_locally_needs_tokens(tmp_path: Path) -> None:
    """The port is open to other machines, so the worker refuses to start without tokens."""
    done = cli("serve", cwd=tmp_path, SERVE_API_LOCALLY="true")
    assert (done.returncode, "WORKER_TOKENS" in done.stderr) == (1, True)


@pytest.mark.parametrize("value", ["{{ RUNPOD_SECRET_hf }}", "{{RUNPOD_SECRET_hf}}", "Bearer {{ RUNPOD_SECRET_hf }}"])
@pytest.mark.parametrize("variable", ["HF_TOKEN", "WORKER_TOKENS", "ANY_NAME"])
def test_an_unresolved_secret_is_refused(variable: str, value: str) -> None:
    """The error names variable and secret, whatever the variable is."""
    with pytest.raises(StartupError, match=rf"{variable} \(secret 'hf'\).*create the secret"):
        Settings.from_env({variable: value})


def test_serve_refuses_an_unresolved_secret(tmp_path: Path) -> None:
    """The command ends with the variables and the remedy, and starts nothing."""
    done = cli("serve", "--port", "0", cwd=tmp_path, HF_TOKEN="{{ RUNPOD_SECRET_hf }}", OTHER="{{ RUNPOD_SECRET_b }}")
    assert done.returncode == 1
    assert "HF_TOKEN (secret 'hf'), OTHER (secret 'b')" in " ".join(done.stderr.split())
    assert not (tmp_path / ".state").exists()


def test_comfyui_gets_no_key_of_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of the bucket are never passed on to node packs."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORKER_ENGINE_ENV", ",".join(KEYS))
    assert not KEYS.keys() & engine_environment().keys()


@pytest.fixture(scope="module")
def bucket() -> WholeBucket:
    """A bucket of this module."""
    with whole_bucket() as found:
        yield found  # type: ignore[misc]


async def test_outputs_go_to_the_bucket_in_the_url(engine: EngineHandle, bucket: WholeBucket, tmp_path: Path) -> None:
    """The key is MONTH/JOB/NAME.png as users of RunPod's SDK expect it, and the URL opens the file for a week."""
    environ = {"BUCKET_ENDPOINT_URL": f"{bucket.url}/{bucket.name}", **KEYS}
    s3 = Settings.from_env(environ).s3
    given = {
        "s3_bucket": s3.bucket,
        "s3_endpoint": s3.endpoint,
        "s3_access_key_id": s3.access_key_id,
        "s3_secret_access_key": s3.secret_access_key,
        "s3_key": s3.key,
        "s3_url_life_s": s3.url_life_s,
    }
    async with worker(engine, tmp_path, **given) as client:
        _, body = await client.post("/runsync", {"input": {"workflow": picture()}})
        [image] = body["output"]["images"]
        assert image["type"] == "s3_url"
        assert "X-Amz-Expires=604800" in image["data"]
        assert (await fetched(client, image["data"])).startswith(b"\x89PNG")
    [name] = [name for name in bucket.names() if body["id"] in name]
    month, job, file = name.split("/")
    assert (len(month), month[2], job) == (5, "-", body["id"])
    assert (len(file), file[8:]) == (12, ".png")
    assert image["data"].startswith(f"{bucket.url}/{bucket.name}/{name}?")


async def fetched(client: Client, url: str) -> bytes:
    """Return the file at a presigned URL."""
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert answer.status == 200
        return await answer.read()
