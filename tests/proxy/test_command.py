"""The commands of `comfy-worker proxy` that do not serve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import cli
from tests.proxy.test_config import FILE
from worker.proxy.callers import key_hash
from worker.proxy.config.config_file import read_config


def test_a_new_key_is_printed_with_its_table(tmp_path: Path) -> None:
    """The key alone is on standard output, and the table on standard error has its hash and works."""
    done = cli("proxy", "key", "web", cwd=tmp_path)
    key = done.stdout.strip()
    assert key not in done.stderr
    _, _, table = done.stderr.partition("proxy.toml:")
    config = read_config('[[backends]]\nname = "own"\nurl = "http://127.0.0.1:1"\n' + table)
    assert [(caller.name, caller.key_sha256) for caller in config.callers] == [("web", (key_hash(key.encode()),))]


def test_a_new_key_as_json(tmp_path: Path) -> None:
    """`--json` prints name, key and hash."""
    body = json.loads(cli("proxy", "key", "web", "--json", cwd=tmp_path).stdout)
    assert body == {"name": "web", "key": body["key"], "key_sha256": key_hash(body["key"].encode())}


def test_a_name_that_the_file_does_not_allow_is_refused(tmp_path: Path) -> None:
    """A name with other characters would make the file invalid."""
    done = cli("proxy", "key", 'a"\nb', cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_check_shows_what_the_file_says(tmp_path: Path) -> None:
    """Backends, routes and callers are listed, without connecting to them or reading keys."""
    (tmp_path / "proxy.toml").write_text(FILE)
    lines = cli("proxy", "check", cwd=tmp_path).stdout.splitlines()
    assert lines == [
        "backend  vast  vast://comfy",
        "backend  own  https://gpu.example.com",
        "route    flux-* -> vast 50, own 50 by header:X-User, then own",
        "caller   web, until 2027-01-31",
    ]
    body = json.loads(cli("proxy", "check", "proxy.toml", "--json", cwd=tmp_path).stdout)
    assert body["server"]["port"] == 8443


@pytest.mark.parametrize("arguments", [["check", "proxy.toml"], ["--config", "proxy.toml"]])
def test_an_invalid_file_is_reported(arguments: list[str], tmp_path: Path) -> None:
    """Each problem is one line with the file, its line and the cure, and nothing is started."""
    (tmp_path / "proxy.toml").write_text(FILE.replace("resubmit", "resubmti").replace("sticky", "stikcy"))
    done = cli("proxy", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "proxy.toml: line 18: [[backends]] 2 resubmti: unknown key. Did you mean 'resubmit'?" in done.stderr
    assert "proxy.toml: line 23: [[routes]] 1 stikcy: unknown key. Did you mean 'sticky'?" in done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["--config", "x.toml", "--backend", "http://x"], ["--backend", "ftp://x"], ["--port", "70000"]]
)
def test_the_backends_are_named_once(arguments: list[str], tmp_path: Path) -> None:
    """No backend, both ways to name them, a URL of no backend and a port that does not exist are errors."""
    assert cli("proxy", *arguments, cwd=tmp_path).returncode in {1, 2}


def test_an_address_for_others_needs_callers(tmp_path: Path) -> None:
    """`--host 0.0.0.0` without callers would let anyone send jobs."""
    done = cli("proxy", "--backend", "http://127.0.0.1:9", "--host", "0.0.0.0", cwd=tmp_path)  # noqa: S104
    assert done.returncode == 1
    assert "add [[callers]]" in done.stderr


def test_the_schema_is_printed(tmp_path: Path) -> None:
    """`proxy schema` prints a JSON Schema with the tables of the file."""
    schema = json.loads(cli("proxy", "schema", cwd=tmp_path).stdout)
    assert schema["properties"].keys() == {"server", "backends", "routes", "callers"}
