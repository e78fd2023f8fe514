"""Paths in a workflow as texts: the job's own files are accepted, and other paths are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.inputs.paths.packs import checked, node
from worker.errors import FileNotAllowed
from worker.inputs.file_inputs import OpenFolders
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.catalog.path_inputs import PathUse, path_inputs

OUTSIDE = [
    "/etc/passwd",
    "//etc/passwd",
    " /etc/passwd",
    "../x",
    "a/../../x",
    "..\\x",
    "~/x",
    "~root/x",
    "$HOME/x",
    "${HOME}/x",
    "C:\\x",
    "c:x",
    "\\\\server\\share\\x",
    "FILE:/etc/passwd",
    "a\nb/../..",
    {"__value__": ["/etc/passwd"]},
]
PATHS = [
    *(("Load Text File", "file_path"), ("Load Image Batch", "path"), ("LoadImagesFromFolderKJ", "folder")),
    *(("CR Load Image List", "input_folder"), ("CR Load Image List", "input_path"), ("LatentReceiver", "latent")),
    *(("Save Text File", "path"), ("Save Text File", "filename_prefix"), ("easy saveText", "output_file_path")),
    *(("CR XY From Folder", "image_folder"), ("CR Draw Text", "font_name"), ("Of No Known Pack", "image_folder")),
    *(("DiTBlockLoraLoader", "opt_lora_path"), ("LoadText|pysssss", "file")),
]


@pytest.mark.parametrize("text", OUTSIDE, ids=repr)
@pytest.mark.parametrize(("class_type", "name"), PATHS)
def test_a_path_outside_is_refused(class_type: str, name: str, text: object) -> None:
    """check_names refuses a path outside of the folders for any use, and names node, input and suggestion."""
    with pytest.raises(FileNotAllowed) as refused:
        checked({"7": node(class_type, **{name: text})}, "photo.png")
    detail = refused.value.details[0]
    assert (detail.node_id, detail.class_type, detail.input) == ("7", class_type, name)
    assert detail.suggestion


@pytest.mark.parametrize(("class_type", "name"), [("Save Text File", "path"), ("Of No Known Pack", "image_folder")])
def test_a_url_in_a_path_input_is_refused(class_type: str, name: str) -> None:
    """A `file:` URL is refused in an input that fetches nothing, and by the fetcher in an upload input."""
    with pytest.raises(FileNotAllowed, match="is a URL"):
        checked({"7": node(class_type, **{name: "file:///etc/passwd"})})


ALLOWED: list[dict[str, Any]] = [
    node("Load Text File", file_path="photo.png"),
    node("Load Text File", file_path="C:\\Users\\me\\photo.png"),
    node("Load Text File", file_path=""),
    node("Load Text File", file_path="not-sent.txt"),
    node("Load Image Batch", path="frames", pattern="*.png"),
    node("CR Load Image List", input_folder="frames", input_path=""),
    node("CR Load GIF As List", input_folder="frames", gif_filename="1.png", input_path=""),
    node("Save Text File", text="/etc/passwd", path="./out/[time(%Y-%m-%d)]", filename_prefix="a/%date%"),
    node("easy saveText", text="x", output_file_path="notes", file_name="photo.png"),
    node("XY Input: Checkpoint", batch_path="/example_folder"),
    node("CR Draw Text", font_name="listed"),
    node("Of No Known Pack", image_folder="a/b", text="/etc/passwd and ../x"),
    node("SaveImage", filename_prefix="../left to ComfyUI"),
    node("Text Add Tokens", tokens="[hello]: world\n[time]: 3.5"),
    node("Load3D", model_file="none", image={"image": "photo.png", "mask": "", "camera_info": {"kind": "/x"}}),
]


@pytest.mark.parametrize("case", ALLOWED, ids=lambda item: str(item)[:70])
def test_own_files_and_names(case: dict[str, Any]) -> None:
    """check_names accepts the job's own files and folders, relative names, class defaults, and other texts."""
    checked({"7": case}, "photo.png", "frames/1.png")


REFUSED: list[dict[str, Any]] = [
    node("CR Load Image List", input_folder="another", input_path=""),
    node("CR XY From Folder", image_folder="results"),
    node("LatentReceiver", latent="another.latent"),
    node("Load Text File", file_path="result.txt [output]"),
    node("Load Image Batch", path="", pattern="input/*/*.png"),
    node("Load Image Batch", path="frames", pattern="../*/*.png"),
    node("CR Load GIF As List", input_folder="", gif_filename="input/x.gif", input_path=""),
    *(node("Text Add Tokens", tokens=tokens) for tokens in ("[a]: /etc", "[a]: .", "[a]:", "b: ..\\x", "[a]: ~")),
    node("XY Input: Checkpoint", batch_path="/example_folder/.."),
    node("Load3D", model_file="none", image={"image": "/etc/passwd", "mask": "", "normal": "", "recording": ""}),
    node("Load3D", model_file="none", image={"image": "photo.png", "recording": "other.mp4 [output]"}),
    node("Load3D", model_file="none", image={"image": "photo.png", "__value__": {"image": "/etc/passwd"}}),
    node("LatentReceiver", latent={"image": "photo.png", "__value__": "other.latent"}),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda item: str(item)[:70])
def test_paths_of_others_are_refused(case: dict[str, Any]) -> None:
    """check_names refuses ComfyUI's folders, outputs, patterns without a folder, and tokens that build a path."""
    with pytest.raises(FileNotAllowed):
        checked({"7": case}, "photo.png", "frames/1.png")


def test_opened_folders_are_accepted() -> None:
    """check_names accepts files in opened input and output folders."""
    opened = OpenFolders.read("input/shared, output/results", Path("/shared/input"))
    checked({"1": node("CR XY From Folder", image_folder="results/a")}, opened=opened)
    with pytest.raises(FileNotAllowed):
        checked({"1": node("CR XY From Folder", image_folder="other")}, opened=opened)


def test_a_path_needs_a_shared_folder() -> None:
    """check_names refuses the path of a file if this process cannot access the input folder."""
    for text in ("photo.png", "not-sent.txt"):
        with pytest.raises(FileNotAllowed):
            checked({"1": node("Load Text File", file_path=text)}, "photo.png", opened=OpenFolders.read("", None))


def test_the_table_matches_the_shipped_catalog() -> None:
    """Every input in the table exists in the shipped catalog if its class does, and every use occurs."""
    catalog = bundled_catalog()
    inputs_by_class = {name: inputs for name, inputs in path_inputs().items() if name in catalog}
    assert len(inputs_by_class) > 10
    for name, inputs in inputs_by_class.items():
        assert inputs.keys() <= catalog[name].by_name.keys(), name
    uses = {use for inputs in path_inputs().values() for use in inputs.values()}
    assert uses == set(PathUse) - {PathUse.LIKELY}
