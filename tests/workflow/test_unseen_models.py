"""Models that no file input names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.prompts import link, node, sampled
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.embeddings import named_embeddings
from worker.workflow.unseen_models import (
    DOWNLOADS_MODEL,
    FACES,
    HIDDEN_MODELS,
    NO_CLASS,
    NO_FILE,
    NO_FOLDER,
    OWN_MODELS,
    RANDOM_LORA,
    UNKNOWN_TAGS,
)
from worker.workflow.unseen_models import unseen_models as unseen

PACK = "custom_nodes.pack"
TYPES = {
    "ADE_LoadAnimateDiffModel": "MOTION_MODEL_ADE",
    "DownloadAndLoadCogVideoModel": "COGVIDEOMODEL",
    "HEDPreprocessor": "IMAGE",
    "CannyEdgePreprocessor": "IMAGE",
    "Load Text File": "STRING",
    "Lora Stack of tags": "MODEL",
    "Text Multiline": "STRING",
    "Makes model": "MODEL",
    "VideoModelLoader": "WANMODEL",
    "SegmentAnything": "MASK",
    "PulidModelLoader": "PULID",
    "CLIPSEG2": "IMAGE",
    "Mask By Text": "IMAGE",
    "easy applyFooocusInpaint": "MODEL",
    "easy ipadapterApply": "MODEL",
    "easy pulIDApply": "MODEL",
    "ImpactWildcardEncode": "MODEL",
    "Power Prompt (rgthree)": "MODEL",
    "KSamplerProvider": "KSAMPLER",
    "TwoSamplersForMaskUpscalerProvider": "UPSCALER",
    "ADE_CameraPoseBasic": "CAMERACTRL_POSES",
    "TorchCompileModelQwenImage": "MODEL",
    "Text box": "STRING",
}
CATALOG = Catalog.from_object_info(
    Catalog.bundled().to_object_info()
    | {name: {"input": {}, "output": [type_], "python_module": PACK} for name, type_ in TYPES.items()}
)


def reasons(class_type: str, **inputs: Any) -> list[tuple[str, str | None, str | None]]:
    """Return (reason, input, value) of each unseen model of a prompt with this node."""
    prompt = sampled() | {"7": node(class_type, **inputs)}
    prompt["9"]["inputs"]["more"] = link("7")
    return [(model.reason, model.input, model.value) for model in unseen(prompt, CATALOG)]


@pytest.mark.parametrize(
    ("class_type", "inputs", "reason"),
    [
        ("ADE_LoadAnimateDiffModel", {"model_name": "mm.ckpt"}, (NO_FOLDER, "model_name", "mm.ckpt")),
        ("PulidModelLoader", {"of": {"file": "a.bin"}}, (NO_FOLDER, "of.file", "a.bin")),
        ("SegmentAnything", {"sam_model": "sam_vit_h (2.56GB)"}, (NO_FILE, "sam_model", "sam_vit_h (2.56GB)")),
        ("DownloadAndLoadCogVideoModel", {"model": "THUDM/5b"}, (DOWNLOADS_MODEL, "model", "THUDM/5b")),
        ("DownloadAndLoadCogVideoModel", {}, (DOWNLOADS_MODEL, None, None)),
        ("HEDPreprocessor", {"image": link("8")}, (DOWNLOADS_MODEL, None, None)),
        ("VideoModelLoader", {}, (OWN_MODELS, None, None)),
        ("Makes model", {}, (OWN_MODELS, None, None)),
        ("Lora Stack of tags", {"text": "<lora:a:1>", "model": link("4")}, (UNKNOWN_TAGS, "text", "<lora:a:1>")),
        ("InstantIDFaceAnalysis", {"provider": "CPU"}, (FACES, None, None)),
        ("IPAdapterUnifiedLoader", {"preset": "x"}, (HIDDEN_MODELS["IPAdapterUnifiedLoader"], None, None)),
        ("CLIPSEG2", {"text": "hair"}, (OWN_MODELS, None, None)),
        ("Mask By Text", {"prompt": "hair"}, (OWN_MODELS, None, None)),
        ("easy applyFooocusInpaint", {"patch": "v26 (1.32GB)"}, (NO_FILE, "patch", "v26 (1.32GB)")),
        ("easy ipadapterApply", {"preset": "x"}, (HIDDEN_MODELS["easy ipadapterApply"], None, None)),
        ("easy pulIDApply", {"pulid_file": "a.bin"}, (HIDDEN_MODELS["easy pulIDApply"], None, None)),
        (
            "ImpactWildcardEncode",
            {"wildcard_text": "<lora:__any__:1>"},
            (RANDOM_LORA, "wildcard_text", "<lora:__any__:1>"),
        ),
        ("ImpactWildcardEncode", {"wildcard_text": "<lora:{a|b}:1>"}, (RANDOM_LORA, "wildcard_text", "<lora:{a|b}:1>")),
        ("Text box", {"stack": '[{"name": "a.safetensors"}]'}, (NO_FOLDER, "stack", '[{"name": "a.safetensors"}]')),
        ("Not in the catalog", {}, (NO_CLASS, None, None)),
    ],
)
def test_unseen_models_are_reported(
    class_type: str, inputs: dict[str, Any], reason: tuple[str, str | None, str | None]
) -> None:
    """Extensions, names of inputs, classes and output types hint at a model."""
    assert reasons(class_type, **inputs) == [reason]


@pytest.mark.parametrize(
    ("class_type", "inputs"),
    [
        ("CannyEdgePreprocessor", {"image": link("8")}),
        ("Load Text File", {"file_path": "a.txt"}),
        ("Text Multiline", {"text": "<lora:a:1>"}),
        ("Makes model", {"model": link("4")}),
        ("UltralyticsDetectorProvider", {"model_name": "bbox/face_yolov8m.pt"}),
        ("Power Lora Loader (rgthree)", {"lora_1": {"on": True, "lora": "a.safetensors", "strength": 1}}),
        ("LoraLoader", {"lora_name": "a.safetensors"}),
        ("ImpactWildcardEncode", {"Select to add LoRA": "Select the LoRA to add to the text", "model": link("4")}),
        ("Power Prompt (rgthree)", {"insert_lora": "CHOOSE", "opt_model": link("4")}),
        ("ImpactWildcardEncode", {"wildcard_text": "__any__ <lora:a:1> {b|c}", "model": link("4")}),
        ("KSamplerProvider", {"seed": 1}),
        ("TwoSamplersForMaskUpscalerProvider", {"vae": link("4", 2)}),
        ("ADE_CameraPoseBasic", {"motion_type": "Pan Up"}),
        ("TorchCompileModelQwenImage", {"model": link("4")}),
        ("Text box", {"text": "a photo (8GB of it)"}),
    ],
)
def test_known_files_and_texts_are_not_reported(class_type: str, inputs: dict[str, Any]) -> None:
    """Files of known folders, texts, and nodes without a model are not reported."""
    assert reasons(class_type, **inputs) == []


def test_embeddings_in_texts() -> None:
    """An embedding has the name of the listed file, else of its download."""
    text = "a (embedding:easynegative:1.2), embedding:sub/hands, embedding:other.pt embedding:easynegative"
    prompt = sampled()
    prompt["6"]["inputs"]["text"] = text
    assert list(named_embeddings(prompt, CATALOG, ["sub/hands.pt"])) == [
        *("easynegative.safetensors", "sub/hands.pt", "other.pt"),
    ]
