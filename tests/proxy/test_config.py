"""Reading proxy.toml: a whole file, its problems with table, key and line, and a configuration from URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import ProxyConfigError, StartupError
from worker.proxy.config.config_file import config_of_urls, load_config, read_config, with_options
from worker.proxy.config.tables import ProxyConfig, Resubmit

DIGEST = "a" * 64
EVERYWHERE = "0.0.0.0"  # noqa: S104
FILE = f"""
[server]
host = "0.0.0.0"
port = 8443
state = "/var/lib/proxy"
cors_origins = ["https://app.example.com"]
requests_per_minute = 60

[[backends]]
name = "vast"
url = "vast://comfy"
key_env = "VAST_API_KEY"
max_queue = 20

[[backends]]
name = "own"
url = "https://gpu.example.com"
resubmit = "never"

[[routes]]
templates = ["flux-*"]
backends = {{vast = 50, own = 50}}
sticky = "header:X-User"
fallback = ["own"]

[[callers]]
name = "web"
key_sha256 = "{DIGEST}"
expires = 2027-01-31
"""


def problems(text: str) -> list[str]:
    """Return the problems of a file, one line each, without its name."""
    with pytest.raises(ProxyConfigError) as caught:
        read_config(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_whole_file_is_read() -> None:
    """Every table has the values of the file, and the defaults of the others."""
    config = read_config(FILE)
    assert (config.server.host, config.server.port, config.server.state) == (EVERYWHERE, 8443, Path("/var/lib/proxy"))
    assert config.server.settings().cors_origins == "https://app.example.com"
    assert [backend.name for backend in config.backends] == ["vast", "own"]
    assert [backend.resubmit for backend in config.backends] == [Resubmit.WHEN_LOST, Resubmit.NEVER]
    assert config.routes[0].sticky_header == "X-User"
    assert config.effective_routes == config.routes
    assert config.callers[0].key_sha256 == (DIGEST,)
    assert config.callers[0].expires_at == 1801353600.0


def test_the_key_of_a_backend_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """The file names the place of a key, and the key of neither is in a repr."""
    (tmp_path / "key").write_text("from-the-file\n")
    config = read_config(FILE.replace('resubmit = "never"', f'key_file = "{tmp_path / "key"}"'))
    vast, own = (backend.settings({"VAST_API_KEY": "from-the-environment"}, tmp_path) for backend in config.backends)
    assert vast.key is not None
    assert own.key is not None
    assert (vast.key.get_secret_value(), own.key.get_secret_value()) == ("from-the-environment", "from-the-file")
    assert "from-the" not in repr((vast, own, config))
    with pytest.raises(StartupError, match="VAST_API_KEY"):
        config.backends[0].settings({}, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("requests_per_minute", "requests_per_minuet", "line 7: [server] requests_per_minuet: unknown key. Did you"),
        ("port = 8443", "port = 70000", "line 4: [server] port: input should be less than or equal to 65535"),
        ("max_queue = 20", "max_queue = -1", "line 13: [[backends]] 1 max_queue: "),
        ('resubmit = "never"', 'key = "abc"', "line 18: [[backends]] 2 key: unknown key. The file must not have"),
        ('resubmit = "never"', 'resubmit = "maybe"', "line 18: [[backends]] 2 resubmit: "),
        ('url = "vast://comfy"', 'url = "vats://comfy"', "line 11: [[backends]] 1 url: 'vats://comfy' is no backend"),
        ('"https://gpu.', '"https://me:pw@gpu.', "line 17: [[backends]] 2 url: has a user or password"),
        ('name = "own"', 'name = "vast"', "line 16: [[backends]] 2 name: 'vast' is the name of another table"),
        ("{vast = 50", "{vats = 50", "line 22: [[routes]] 1 backends: 'vats' is no backend of this file. Known: "),
        ("vast = 50, own = 50", "vast = 0", "line 22: [[routes]] 1 backends: all weights are 0"),
        ("vast = 50", "vast = -5", "line 22: [[routes]] 1 backends: "),
        ('sticky = "header:X-User"', 'sticky = "cookie"', "line 23: [[routes]] 1 sticky: "),
        ('fallback = ["own"]', 'fallback = ["gone"]', "line 24: [[routes]] 1 fallback: 'gone' is no backend"),
        ('fallback = ["own"]', 'callers = ["nobody"]', "line 24: [[routes]] 1 callers: match no caller"),
        (f'"{DIGEST}"', '"cwp_secret"', "line 28: [[callers]] 1 key_sha256: "),
        (f'"{DIGEST}"', f'["{DIGEST}", "{DIGEST}"]', "line 28: [[callers]] 1 key_sha256: is also the key of web"),
        ("expires = 2027-01-31", 'backends = ["x*"]', "line 29: [[callers]] 1 backends: match no backend"),
        ('"https://app.example.com"', '"app.example.com"', "line 6: [server] cors_origins: "),
        ("[server]", "[sevrer]", "line 2: sevrer: unknown key. Did you mean 'server'?"),
    ],
)
def test_a_problem_names_line_table_and_key(old: str, new: str, expected: str) -> None:
    """The message of each problem has its place and the cure, and no value of a key."""
    assert old in FILE
    problem = problems(FILE.replace(old, new))[0]
    assert problem.startswith(expected)
    assert "secret" not in problem.replace("must not have secrets", "")


def test_all_problems_are_reported_together() -> None:
    """Problems of several tables are in the order of their lines."""
    text = FILE.replace("port = 8443", "prot = 1").replace("sticky =", "stikcy =").replace('name = "own"\n', "")
    lines = [problem.partition(":")[0] for problem in problems(text)]
    assert lines == ["line 4", "line 15", "line 22"]


def test_a_route_for_all_jobs_is_the_last_one() -> None:
    """Routes after one that matches every job are never used, which is a problem of the file."""
    every = "\n[[routes]]\nbackends = {own = 1}\n"
    assert read_config(FILE + every).routes[1].matches_all_jobs
    [problem] = problems(FILE.replace("[[routes]]", f"{every.strip()}\n\n[[routes]]"))
    assert "never used" in problem


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.168.1.5", "proxy.example.com"])
def test_without_callers_only_this_machine_may_connect(host: str) -> None:
    """An address that others can reach needs callers, in the file and in the options."""
    text = f'[server]\nhost = "{host}"\n[[backends]]\nname = "own"\nurl = "http://127.0.0.1:1"\n'
    [problem] = problems(text)
    assert problem.startswith("line 2: [server] host: ")
    with pytest.raises(ProxyConfigError, match="callers"):
        with_options(config_of_urls(["http://127.0.0.1:18288"]), host=host)


def test_options_take_precedence() -> None:
    """Host, port and state of the options replace those of the file."""
    config = with_options(read_config(FILE), host="127.0.0.1", port=0, state=Path("here"))
    assert (config.server.host, config.server.port, config.server.state) == ("127.0.0.1", 0, Path("here"))
    assert config.server.requests_per_minute == 60


def test_urls_alone_are_a_configuration() -> None:
    """Backends without a name get that of their kind, have the same weight, and are fallbacks of each other."""
    config = config_of_urls(
        ["http://127.0.0.1:1", "gpu=https://gpu.example.com", "https://127.0.0.1:2", "vast://comfy"]
    )
    assert [backend.name for backend in config.backends] == ["http", "gpu", "http-2", "vast"]
    [route] = config.effective_routes
    assert route.backends == {"http": 1, "gpu": 1, "http-2": 1, "vast": 1}
    assert route.fallback == ("http", "gpu", "http-2", "vast")


@pytest.mark.parametrize("urls", [["127.0.0.1:18288"], ["a=http://x", "a=http://y"], ["ftp://x"], ["http://u:p@x"]])
def test_wrong_urls_are_refused(urls: list[str]) -> None:
    """Text that is no URL of a backend, two equal names, and a URL with a password are errors."""
    with pytest.raises(StartupError):
        config_of_urls(urls)


@pytest.mark.parametrize(
    "text", ["[[backends]]", "", "x", 'server = 1\nbackends = "x"', "[backends]\nname = 1", "[[server]]"]
)
def test_other_files_are_reported(text: str) -> None:
    """A file without backends, or of another form, is a problem and never a traceback."""
    assert problems(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The error has the path and the reason."""
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for name in ("gone.toml", "bytes.toml", "."):
        with pytest.raises(ProxyConfigError, match="cannot be read"):
            load_config(tmp_path / name)


def test_the_schema_describes_every_key() -> None:
    """The JSON Schema for editors has a description of each key of each table."""
    schema = ProxyConfig.model_json_schema()
    tables = [schema, *(schema["$defs"][name] for name in ("ServerTable", "BackendTable", "RouteTable", "CallerTable"))]
    for table in tables:
        assert table["additionalProperties"] is False
        assert all(value.get("description") for value in table["properties"].values())
