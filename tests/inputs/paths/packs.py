"""Path inputs of popular pack classes: names and types of the inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worker.inputs.file_inputs import OpenFolders, file_inputs
from worker.inputs.folder_inputs import folder_inputs
from worker.inputs.paths.known_links import with_known_paths
from worker.inputs.paths.name_check import check_names
from worker.inputs.sources import find_sources
from worker.job import InputFile, JobRequest
from worker.workflow.catalog.catalog import Catalog

STRING, COMBO = ["STRING", {"default": ""}], [["listed"], {}]
CLASSES: dict[str, dict[str, Any]] = {
    "Load Text File": {"file_path": STRING},
    "Load Image Batch": {"path": STRING, "pattern": ["STRING", {"default": "*"}]},
    "Save Text File": {"text": STRING, "path": STRING, "filename_prefix": STRING},
    "Text Add Tokens": {"tokens": STRING},
    "LoadImagesFromFolderKJ": {"folder": STRING},
    "DiTBlockLoraLoader": {"opt_lora_path": STRING},
    "easy saveText": {"text": STRING, "output_file_path": STRING, "file_name": STRING},
    "CR Load Image List": {"input_folder": COMBO, "input_path": STRING},
    "CR Load GIF As List": {"input_folder": COMBO, "gif_filename": STRING, "input_path": STRING},
    "CR XY From Folder": {"image_folder": COMBO},
    "CR Draw Text": {"font_name": COMBO},
    "XY Input: Checkpoint": {"batch_path": ["STRING", {"default": "/example_folder"}]},
    "LoadPromptsFromFile //Inspire": {"prompt_file": COMBO},
    "LoadText|pysssss": {"root_dir": [["input"], {}], "file": COMBO},
    "LatentReceiver": {"latent": COMBO},
    "Of No Known Pack": {"image_folder": STRING, "text": STRING},
    "DiffusionModelSelector": {"model_name": COMBO},
    "SaveImage": {"filename_prefix": STRING},
    "Load3D": {"model_file": COMBO, "image": ["LOAD_3D", {}]},
    "PrimitiveString": {"value": STRING},
    "ShowText": {"value": STRING},
    "StringConcatenate": {"string_a": STRING, "string_b": STRING, "delimiter": STRING},
}
CATALOG = Catalog.from_object_info(
    {name: {"input": {"required": inputs}, "output": ["STRING"]} for name, inputs in CLASSES.items()}
)
SHARED = OpenFolders.read("", Path("/shared/input"))


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def checked(prompt: dict[str, Any], *sent: str, opened: OpenFolders = SHARED, any_link: bool = False) -> dict[str, Any]:
    """Return the prompt with known links replaced. Raises FileNotAllowed. `sent` are names of the request's files."""
    prompt = with_known_paths(prompt, file_inputs(prompt, CATALOG))  # type: ignore[arg-type, assignment]
    request = JobRequest(prompt, inputs=tuple(InputFile(name, Path(name), 1, "") for name in sent))
    places = list(file_inputs(prompt, CATALOG))  # type: ignore[arg-type]
    folders = list(folder_inputs(prompt, CATALOG)) if sent else []  # type: ignore[arg-type]
    sources = find_sources(request, places, folders)
    kept = [place for place in places if place.key not in sources.folders]
    nodes = {node_id for node_id, _ in sources.folders}
    check_names(prompt, kept, sources.by_text, opened, folders=nodes, any_link=any_link)  # type: ignore[arg-type]
    return prompt
