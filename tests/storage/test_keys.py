"""Keys are made from a template, and no name leads out of the prefix."""

from __future__ import annotations

import re
import unicodedata

import pytest

from worker.errors import StartupError
from worker.job import Job, JobRequest, Output
from worker.settings.s3 import S3Settings
from worker.storage.keys import KeyTemplate

DEFAULT = S3Settings().key


def key(template: str, *, prefix: str = "p", id: str = "job-1", names: tuple[str, ...] = ("a.png",)) -> str:
    outputs = tuple(Output(index, "9", "image", name) for index, name in enumerate(names))
    job = Job(id, JobRequest(prompt={}), outputs=outputs, created_at=86400.0)
    return KeyTemplate(template).key(job, outputs[-1], prefix)


def test_the_default_template() -> None:
    """The default key has prefix, day, job id, the job's folder, and file name."""
    assert re.fullmatch(r"p/1970-01-02/order-1/job-[0-9a-f]{32}/a\.png", key(DEFAULT, id="order-1"))


def test_jobs_with_one_id_never_write_the_same_object_by_default() -> None:
    """Two jobs with one id have different keys by default, and a repeated delivery has the same key."""
    outputs = (Output(0, "9", "image", "a.png"),)
    jobs = [Job("order-1", JobRequest(prompt={}), name, outputs=outputs) for name in ("alice", "bob", "alice")]
    template = KeyTemplate(DEFAULT)
    assert len({template.key(job, outputs[0], "p") for job in jobs * 2}) == 3
    assert template.unique
    assert not KeyTemplate("{prefix}/{date}/{id}/{filename}").unique


def test_an_empty_prefix_leaves_no_empty_part() -> None:
    """A key with an empty prefix does not begin with a slash."""
    assert key(DEFAULT, prefix="").startswith("1970-01-02/job-1/")


@pytest.mark.parametrize(
    ("prefix", "id", "name"),
    [
        ("../../etc", "a", "x"),
        ("..", "..", ".."),
        ("/", ".", "."),
        ("a//b/../c", "x", "../../y"),
        ("p", "..%2f", "..\\..\\y"),
        ("p", "a", "x\x00y"),
        ("p", "a", "\u202egnp.exe"),
        ("p", "a", "x?versionId=1#f"),
        ("p", "a", "\uff0e\uff0e\uff0fy\u2025\u2215z"),
        ("p", "a", "x\ud800y"),
        (".git", "a", ".htaccess"),
    ],
)
def test_no_name_leads_out_of_its_part(prefix: str, id: str, name: str) -> None:
    """KeyTemplate.key makes no part that is empty, consists of dots, or has special characters."""
    made_key = key(DEFAULT, prefix=prefix, id=id, names=(name,))
    parts = made_key.split("/")
    assert all(part.strip(".") for part in parts)
    assert not set(made_key) & set('\\:%?#&"<>*|;`$ \u2044\u2215\u29f8')
    assert made_key.isprintable()
    assert not any(part.startswith(".") for part in parts)
    assert all(unicodedata.normalize("NFKC", part) == part for part in parts)
    assert "1970-01-02" in parts


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("日本語 テスト_00001_.png", "日本語_テスト_00001_.png"),
        ("Bo\u0308ll.png", "B\u00f6ll.png"),
        ("фото№1.png", "фото№1.png"),
        ("हिन्दी.png", "हिन्दी.png"),
        ("🎉 done.png", "🎉_done.png"),
        ("（仮）.png", "（仮）.png"),
    ],
)
def test_names_stay_readable_in_any_script(name: str, kept: str) -> None:
    """segment keeps letters, marks and symbols in composed form, and replaces a space with an underscore."""
    assert key("{filename}", names=(name,)) == kept


def test_two_spellings_of_a_name_do_not_overwrite_each_other() -> None:
    """Files whose names are equal in composed form get numbers."""
    assert key("{filename}", names=("o\u0308.png", "\u00f6.png")) == "1-\u00f6.png"


def test_files_of_one_name_do_not_overwrite_each_other() -> None:
    """Files with one name in different subfolders get numbers."""
    assert key("{prefix}/{id}/{filename}", names=("a.png", "a.png")) == "p/job-1/1-a.png"
    assert key("{prefix}/{id}/{filename}", names=("a.png", "b.png")) == "p/job-1/b.png"


def test_a_key_is_short_enough_for_s3() -> None:
    """KeyTemplate.key returns at most 1,024 bytes for names of any length."""
    long = key(DEFAULT, prefix="p" * 512, id="i" * 128, names=("é" * 300 + ".png",))
    assert len(long.encode()) <= 1024
    assert long.endswith(".png")
    assert len(key(DEFAULT, prefix="日/" * 256, id="i" * 128, names=("日" * 200 + ".png",)).encode()) <= 1024


def test_a_template_whose_keys_may_be_too_long_is_refused_at_the_start() -> None:
    """KeyTemplate raises StartupError for a template whose keys could exceed 1,024 bytes."""
    with pytest.raises(StartupError, match="shorten"):
        KeyTemplate("{prefix}/{prefix}/{filename}/{id}")


def test_unique_names_of_a_job_and_its_parts() -> None:
    """`{job}` is unique, and `{node}` and `{index}` identify the output."""
    assert key("{node}/{index}/{filename}") == "9/0/a.png"
    assert key("{job}/{filename}") != key("{job}/{filename}")


@pytest.mark.parametrize(
    "template",
    [
        "{prefix}/{id}",
        "{filename}/{secret}",
        "{filename.__class__}",
        "{filename!r}",
        "{filename:>9}",
        "{filename",
        "{}",
    ],
)
def test_a_template_that_can_not_be_used_is_refused_at_the_start(template: str) -> None:
    """KeyTemplate raises StartupError for unknown fields, format specifications, and a missing `{filename}`."""
    with pytest.raises(StartupError, match="WORKER_S3_KEY"):
        KeyTemplate(template)
