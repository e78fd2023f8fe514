"""How files of a request may be called, and which of them a text of the workflow means."""

from __future__ import annotations

import unicodedata

import pytest

from worker.errors import InvalidInputFile
from worker.inputs.names import NameIndex, check_together, file_name, folders_of_name, spellings, stored_path

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
    """Both separators are one, and the annotation of the folder that is meant anyway is left out."""
    assert file_name(written) == name


HOSTILE = [
    *("", ".", "..", "/", "a/", "/a", "a//b", "a/./b", "../x", "a/../b", "a/..", "..\\x", "a\\..\\b", "~/x", "~"),
    *("C:\\x.png", "c:/x.png", "c:x.png", "\\\\server\\share\\x.png", "x\x00.png", "x\n.png", "a\x7f/b", "[input]"),
    *("n" * 201, "ü" * 128, "a/" * 16 + "b", "/".join(["n" * 199] * 6), "\ud800.png", ".. [output]", "../x [temp]"),
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_never_leaves_the_jobs_folder(name: str) -> None:
    """Refused by its name: nothing is made of what could lie elsewhere on any system."""
    with pytest.raises(InvalidInputFile, match="cannot be the name"):
        file_name(name)


@pytest.mark.parametrize(
    "names",
    [["a", "a/b"], ["a/b/c.png", "a/b"], ["x [output]", "[output]/x"], ["a [output]", "a/b [output]"]],
)
def test_two_files_never_need_one_place(names: list[str]) -> None:
    """A file is not the folder of another one."""
    with pytest.raises(InvalidInputFile):
        check_together(names)


def test_names_that_differ_lie_in_different_places() -> None:
    """By folder, ComfyUI's own folders included, by case and by Unicode form."""
    names = ["face.png", "a/face.png", "b/face.png", "face.png [output]", "face.png [temp]", "Face.png", NFC, NFD]
    names += ["a/b [output]", "Face.png/x [temp]"]
    check_together(names)
    assert len({stored_path(name) for name in names}) == len(names)
    assert list(folders_of_name("a/b/c.png [output]")) == ["a/b", "a"]
    assert list(spellings("a/x.png")) == ["a/x.png", "a/x.png [input]", "a\\x.png", "a\\x.png [input]"]


SENT = ["a/face.png", "b/face.png", "photo.png", "deep/down/only.png", "out.png [output]", "Case.png", "case.png", NFC]


@pytest.mark.parametrize(
    ("text", "meant"),
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
def test_a_text_means_the_file_that_it_certainly_names(text: str, meant: list[str]) -> None:
    """Each of two files of one name is found by its folder, and a text that fits both names both."""
    assert list(NameIndex(SENT).matches(text)) == meant


def test_of_two_unicode_forms_each_means_itself() -> None:
    """macOS writes é in another way than other systems do."""
    index = NameIndex([NFC, NFD])
    assert (index.matches(NFC), index.matches(NFD)) == ((NFC,), (NFD,))


def test_thousands_of_files_of_one_name() -> None:
    """Each text is looked up, and not compared with every file."""
    index = NameIndex([f"{number}/x.png" for number in range(10_000)])
    assert [index.matches(f"C:/in/{number}/X.png") for number in range(10_000)][-1] == ("9999/x.png",)
    assert [index.matches(f"none-{number}/x.png") for number in range(10_000)][-1] == ()
