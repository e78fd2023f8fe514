"""Keys come from a template, and no name that a client or a node chose leads out of the prefix."""

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
    """Prefix, day, the job's id, what is the job's alone, and file."""
    assert re.fullmatch(r"p/1970-01-02/order-1/job-[0-9a-f]{32}/a\.png", key(DEFAULT, id="order-1"))


def test_jobs_with_one_id_never_write_the_same_object_by_default() -> None:
    """Two callers may choose one id, and so may two workers that share a bucket; each delivery of a job has its key."""
    outputs = (Output(0, "9", "image", "a.png"),)
    jobs = [Job("order-1", JobRequest(prompt={}), name, outputs=outputs) for name in ("alice", "bob", "alice")]
    template = KeyTemplate(DEFAULT)
    assert len({template.key(job, outputs[0], "p") for job in jobs * 2}) == 3
    assert template.unique
    assert not KeyTemplate("{prefix}/{date}/{id}/{filename}").unique


def test_an_empty_prefix_leaves_no_empty_part() -> None:
    """No key begins with a slash."""
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
def test_nothing_leads_out_of_its_place(prefix: str, id: str, name: str) -> None:
    """No part is empty, is made of dots, or has a character that a server might read as more than a name."""
    found = key(DEFAULT, prefix=prefix, id=id, names=(name,))
    parts = found.split("/")
    assert all(part.strip(".") for part in parts)
    assert not set(found) & set('\\:%?#&"<>*|;`$ \u2044\u2215\u29f8')
    assert found.isprintable()
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
    """Letters, marks and symbols are kept in the composed form; a blank becomes an underscore."""
    assert key("{filename}", names=(name,)) == kept


def test_two_spellings_of_a_name_do_not_overwrite_each_other() -> None:
    """A composed and a decomposed letter are one letter in a key, so the files carry their numbers."""
    assert key("{filename}", names=("o\u0308.png", "\u00f6.png")) == "1-\u00f6.png"


def test_files_of_one_name_do_not_overwrite_each_other() -> None:
    """Two nodes may save `a.png` in different subfolders."""
    assert key("{prefix}/{id}/{filename}", names=("a.png", "a.png")) == "p/job-1/1-a.png"
    assert key("{prefix}/{id}/{filename}", names=("a.png", "b.png")) == "p/job-1/b.png"


def test_a_key_fits_into_what_s3_takes() -> None:
    """However long the names are."""
    long = key(DEFAULT, prefix="p" * 512, id="i" * 128, names=("é" * 300 + ".png",))
    assert len(long.encode()) <= 1024
    assert long.endswith(".png")
    assert len(key(DEFAULT, prefix="日/" * 256, id="i" * 128, names=("日" * 200 + ".png",)).encode()) <= 1024


def test_a_template_whose_keys_may_be_too_long_is_refused_at_the_start() -> None:
    """S3 takes 1,024 bytes: a delivery would fail for the longest names only."""
    with pytest.raises(StartupError, match="shorten"):
        KeyTemplate("{prefix}/{prefix}/{filename}/{id}")


def test_unique_names_of_a_job_and_its_parts() -> None:
    """`{job}` is never the same twice; `{node}` and `{index}` say where a file came from."""
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
    """Unknown parts, tricks, and templates in which files would overwrite each other."""
    with pytest.raises(StartupError, match="WORKER_S3_KEY"):
        KeyTemplate(template)
