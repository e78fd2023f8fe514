"""Names of a request's files, and matching of texts to them."""

from __future__ import annotations

import unicodedata

import pytest

from worker.errors import InvalidInputFile
from worker.inputs.names import NameIndex, check_collisions, file_name, folders_of_name, spellings, stored_path

NFC, NFD = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("photo.png", "photo.png"),
        ("a/face.png", "a/face.png"),
        ("a\\b\\face.png", "a/b/face.png"),
        ("clipspace/clipspace-mask-1.png [input]", "clipspace/clipspace-mask-1.png"),
        ("x.png[input]", "x.png"),
        ("x.png [output]", "x.png [output]"),
        ("a\\x.png [temp]", "a/x.png [temp]"),
        ("a b/ü (1).png", "a b/ü (1).png"),
        (".hidden", ".hidden"),
    ],
)
def test_a_name_has_one_form(written: str, name: str) -> None:
    """file_name normalises separators and removes ` [input]`."""
    assert file_name(written) == name


HOSTILE = [
    *("", ".", "..", "/", "a/", "/a", "a//b", "a/./b", "../x", "a/../b", "a/..", "..\\x", "a\\..\\b", "~/x", "~"),
    *("C:\\x.png", "c:/x.png", "c:x.png", "\\\\server\\share\\x.png", "x\x00.png", "x\n.png", "a\x7f/b", "[input]"),
    *("n" * 201, "ü" * 128, "a/" * 16 + "b", "/".join(["n" * 199] * 6), "\ud800.png", ".. [output]", "../x [temp]"),
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_never_leaves_the_jobs_folder(name: str) -> None:
    """file_name refuses a name that could leave the job's folder on any system."""
    with pytest.raises(InvalidInputFile, match="cannot be the name"):
        file_name(name)


@pytest.mark.parametrize(
    "names",
    [["a", "a/b"], ["a/b/c.png", "a/b"], ["x [output]", "[output]/x"], ["a [output]", "a/b [output]"]],
)
def test_two_files_never_have_one_path(names: list[str]) -> None:
    """check_collisions refuses a file that is the folder of another file."""
    with pytest.raises(InvalidInputFile):
        check_collisions(names)


def test_different_names_have_different_paths() -> None:
    """stored_path returns different paths for names that differ in folder, case or Unicode form."""
    names = ["face.png", "a/face.png", "b/face.png", "face.png [output]", "face.png [temp]", "Face.png", NFC, NFD]
    names += ["a/b [output]", "Face.png/x [temp]"]
    check_collisions(names)
    assert len({stored_path(name) for name in names}) == len(names)
    assert list(folders_of_name("a/b/c.png [output]")) == ["a/b", "a"]
    assert list(spellings("a/x.png")) == ["a/x.png", "a/x.png [input]", "a\\x.png", "a\\x.png [input]"]


SENT = ["a/face.png", "b/face.png", "photo.png", "deep/down/only.png", "out.png [output]", "Case.png", "case.png", NFC]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/face.png", ["a/face.png"]),
        ("b\\face.png [input]", ["b/face.png"]),
        ("C:\\Users\\me\\a\\face.png", ["a/face.png"]),
        ("./b/face.png", ["b/face.png"]),
        ("c/face.png", []),
        ("face.png", ["a/face.png", "b/face.png"]),
        ("clipspace/photo.png [input]", ["photo.png"]),
        ("PHOTO.PNG", ["photo.png"]),
        ("only.png", ["deep/down/only.png"]),
        ("down/only.png", ["deep/down/only.png"]),
        ("out.png", ["out.png [output]"]),
        ("Case.png", ["Case.png"]),
        ("case.png", ["case.png"]),
        ("CASE.png", ["Case.png", "case.png"]),
        (NFD, [NFC]),
        ("other.png", []),
        ("", []),
        ("/", []),
    ],
)
def test_a_text_matches_the_best_name(text: str, expected: list[str]) -> None:
    """NameIndex.matches returns the best match, or all of several equal ones."""
    assert list(NameIndex(SENT).matches(text)) == expected


def test_each_of_two_unicode_forms_matches_itself() -> None:
    """NameIndex.matches prefers the name in the same Unicode form."""
    index = NameIndex([NFC, NFD])
    assert (index.matches(NFC), index.matches(NFD)) == ((NFC,), (NFD,))


def test_thousands_of_files_of_one_name() -> None:
    """NameIndex.matches looks up each of thousands of names without comparing all of them."""
    index = NameIndex([f"{number}/x.png" for number in range(10_000)])
    assert [index.matches(f"C:/in/{number}/X.png") for number in range(10_000)][-1] == ("9999/x.png",)
    assert [index.matches(f"none-{number}/x.png") for number in range(10_000)][-1] == ()
