"""Errors in `vast.toml`, and their messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet.wishes import FLEET, IMAGE, fleet
from worker.errors import FleetError
from worker.fleet.definition.fleet_file import read_fleet
from worker.fleet.definition.fleet_id import new_id, with_id
from worker.fleet.vast.offer import query_text, search_text
from worker.fleet.vast.search import parse

ROOT = Path(__file__).parents[3]
DIGEST = f"ghcr.io/acme/comfy-worker@sha256:{'0123456789abcdef' * 4}"


def problems(text: str, image: str | None = IMAGE) -> list[str]:
    with pytest.raises(FleetError) as raised:
        read_fleet(text, image)
    return [str(problem) for problem in raised.value.problems]


def test_the_shipped_file_needs_an_id_and_an_image() -> None:
    """The shipped file is valid once it has an id and an image; each missing one is an error with its cure."""
    text = (ROOT / "vast.toml").read_text("utf-8")
    (problem,) = problems(text, DIGEST)
    assert problem.startswith(
        "id: the fleet has no id; `comfy-worker deploy init` writes one into the file, such as id ="
    )
    text = with_id(text, new_id())
    (problem,) = problems(text, None)
    assert problem.startswith(
        "[template] image: 'ghcr.io/you/comfy-worker' is a placeholder for your own image; give one with"
    )
    found = read_fleet(text, DIGEST)
    assert list(found.groups) == ["flux", "economy"]
    assert found.most_per_hour == pytest.approx(4 * 0.8 + 2 * 0.35)


def test_all_problems_are_reported_together() -> None:
    """All problems are reported together, with table, key, and a suggestion for an unknown key."""
    said = problems(
        """
enviroment = []
[template]
name = "a b"
disk_gb = "60"
[endpoint]
name = "comfy"
max_worker = 4
[groups.big]
gpus = "RTX 4090"
max_workers = 0
[smoke]
templat = "x"
"""
    )
    for line in (
        "enviroment: unknown key. Did you mean 'environment'?",
        "[endpoint] max_workers: missing; largest number of workers in all groups together",
        "[endpoint] max_worker: unknown key. Did you mean 'max_workers'?",
        "[groups.big] max_price: missing; highest allowed price of one worker in dollars per hour",
        "[smoke] templat: unknown key. Did you mean 'template'?",
    ):
        assert line in said
    for start in ("[template] name: ", "[template] disk_gb: ", "[groups.big] gpus: ", "[groups.big] max_workers: "):
        assert any(line.startswith(start) for line in said), said
    assert len(said) == 10
    assert said[0].startswith("id: the fleet has no id")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CIVITAI_TOKEN", "shorter"),
        ("WORKER_TOKENS", "me=other"),
        ("AWS_SECRET_ACCESS_KEY", "other"),
        ("DB_PASSWORD", "other"),
        ("PLAIN", f"hf_{'a' * 30}"),
        ("PLAIN", f"ghp_{'b' * 36}"),
        ("PLAIN", f"AKIA{'A1' * 8}"),
        ("PLAIN", "https://user:pass@example.org/x"),
        ("PLAIN", "a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6"),
    ],
)
def test_secrets_are_refused_and_not_repeated(name: str, value: str) -> None:
    """A secret is detected by its name or value and is not repeated in the message."""
    (problem,) = problems(FLEET.replace('WORKER_MODELS = "sdxl"', f'{name} = "{value}"'))
    assert problem.startswith(f"[template.env] {name}: ")
    assert value not in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORKER_S3_KEY", "{prefix}/{id}"), ("WORKER_FETCH_ALLOW", "minio:9000"), ("IMAGE", "x@sha256:" + "ab12" * 16)],
)
def test_values_that_only_look_like_secrets_are_accepted(name: str, value: str) -> None:
    """A setting called KEY that is a pattern, a host and a digest are accepted."""
    assert read_fleet(FLEET.replace('WORKER_MODELS = "sdxl"', f'{name} = "{value}"'), IMAGE).template.env[name] == value


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("", "no image; give one with"),
        ("ghcr.io/acme/comfy-worker", "can be another image tomorrow"),
        ("ghcr.io/acme/comfy-worker:latest", "can be another image tomorrow"),
        ("Not An Image", "is not the name of an image"),
    ],
)
def test_an_image_needs_a_fixed_tag_or_digest(image: str, said: str) -> None:
    """An image without a fixed tag or digest is rejected."""
    (problem,) = problems(FLEET, image)
    assert said in problem


def test_contradictions_are_rejected() -> None:
    """Keys that are valid one by one but contradict each other are rejected."""
    text = FLEET.replace("disk_gb = 60", 'disk_gb = 60\nonstart = "x"').replace(
        "min_vram_gb = 24\n", "min_disk_gb = 9\n"
    )
    text = text.replace('WORKER_MODELS = "sdxl"', 'WORKER_MODELS = "sdxl, flux"\nHF_HOME = "/x"')
    text = text.replace('["HF_TOKEN"]', '["VAST_API_KEY", "HF_HOME"]')
    said = problems(text)
    assert [line.split(":")[0] for line in said] == [
        *("[template] onstart", "[template.env] WORKER_MODELS", "[template.env] HF_HOME", "environment"),
        *("[groups.cheap] gpus", "[groups.cheap] min_disk_gb"),
    ]


def test_a_search_is_read_back_as_it_was_sent() -> None:
    """A search survives the way through Vast's own parser and back."""
    text = search_text(fleet().groups["cheap"], 60)
    query = parse(text)
    assert query["gpu_ram"] == {"gte": 24000.0}
    assert query["geolocation"] == {"in": ["DE", "NL"]}
    assert query["disk_space"] == {"gte": 60.0}
    assert query["dph_total"] == {"lte": 0.35}
    assert query["rentable"] == {"eq": True}
    assert parse(query_text(query)) == query


def test_an_invalid_file_names_the_line() -> None:
    """An invalid TOML file is reported with TOML's own message."""
    (problem,) = problems("[template\n")
    assert problem.startswith("TOML: ")
    assert "line 1" in problem
