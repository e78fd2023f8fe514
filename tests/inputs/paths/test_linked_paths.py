"""Links into path inputs are followed if their value is known, and refused if it is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inputs.paths.packs import checked, node
from worker.errors import FileNotAllowed

UNKNOWN = {"9": node("ShowText", value="photo.png")}


def linked(class_type: str, name: str, text: str) -> dict[str, Any]:
    """Return a prompt with an input that is linked to the concatenation of two texts."""
    parts = {"string_a": text[:4], "string_b": text[4:], "delimiter": ""}
    return {"1": node(class_type, **{name: ["2", 0]}), "2": node("StringConcatenate", **parts)}


def test_a_known_value_replaces_the_link() -> None:
    """with_known_paths replaces a link with its value if the value is known."""
    prompt = checked(linked("Load Text File", "file_path", "photo.png"), "photo.png")
    assert prompt["1"]["inputs"]["file_path"] == "photo.png"
    prompt = checked(linked("CR Load Image List", "input_folder", "frames"), "frames/1.png")
    assert prompt["1"]["inputs"]["input_folder"] == "frames"


@pytest.mark.parametrize(
    ("class_type", "name", "text"),
    [
        ("Load Text File", "file_path", "/proc/self/environ"),
        ("Load Image Batch", "path", "../../input"),
        ("CR Load Image List", "input_folder", f"job-{'0' * 32}"),
        ("LatentReceiver", "latent", "other.latent"),
        ("Save Text File", "path", "/etc"),
        ("Save Text File", "filename_prefix", "../../x"),
        ("Text Add Tokens", "tokens", "[a]: ../.."),
        ("Of No Known Pack", "image_folder", "/etc"),
        ("LoadText|pysssss", "file", "other.txt"),
    ],
)
def test_a_known_value_is_checked(class_type: str, name: str, text: str) -> None:
    """check_names checks the value of a link like a text in the node itself."""
    with pytest.raises(FileNotAllowed) as refused:
        checked(linked(class_type, name, text))
    assert (refused.value.details[0].node_id, refused.value.details[0].input) == ("1", name)


@pytest.mark.parametrize("link", [["9", 0], ["9", 0.0], {"__value__": ["9", 0]}, ["none", 0]], ids=repr)
@pytest.mark.parametrize(
    ("class_type", "name"),
    [
        *(("Load Text File", "file_path"), ("CR Load Image List", "input_folder"), ("Save Text File", "path")),
        *(("CR Draw Text", "font_name"), ("Text Add Tokens", "tokens"), ("Load3D", "image")),
    ],
)
def test_an_unknown_value_is_refused(class_type: str, name: str, link: Any) -> None:
    """check_names refuses a link whose value is unknown, unless `any_link` is set, and names node and input."""
    prompt = {"1": node(class_type, **{name: link}), **UNKNOWN}
    with pytest.raises(FileNotAllowed, match="known only when it runs") as refused:
        checked(prompt, "9")
    assert (refused.value.details[0].node_id, refused.value.details[0].input) == ("1", name)
    assert refused.value.details[0].suggestion
    checked(prompt, "9", any_link=True)


@pytest.mark.parametrize(
    ("class_type", "name"),
    [
        *(("SaveImage", "filename_prefix"), ("Save Text File", "filename_prefix"), ("Save Text File", "text")),
        *(("easy saveText", "file_name"), ("Of No Known Pack", "text")),
    ],
)
def test_the_name_of_a_written_file_may_be_linked(class_type: str, name: str) -> None:
    """check_names accepts any link into an input that only names a file to write."""
    checked({"1": node(class_type, **{name: ["9", 0]}), **UNKNOWN})


def test_the_path_of_a_model_may_be_linked() -> None:
    """check_names accepts a link to a node that returns the path of one of the operator's models."""
    prompt = {"1": node("DiTBlockLoraLoader", opt_lora_path=["2", 0])}
    checked({**prompt, "2": node("DiffusionModelSelector", model_name="listed")})
