"""Finds nodes that may load a model which `model_needs` cannot see.

Either no input names the model, or the folder of the input is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.catalog.folders import folders_by_input, folders_of
from worker.workflow.json_value import Json
from worker.workflow.lora_names import has_random_name, tag_contents
from worker.workflow.loras import reads_loras
from worker.workflow.model_needs import NO_MODEL, names_model
from worker.workflow.prompt import Node, Prompt, links
from worker.workflow.running_nodes import running_nodes

BY_PRESET = "it picks files of models/ipadapter, models/clip_vision and models/loras by its preset"
FACES = "it loads a set of files of models/insightface"
EVA_CLIP = f"{FACES}, and downloads EVA-CLIP when it runs"
HIDDEN_MODELS = {
    "IPAdapterUnifiedLoader": BY_PRESET,
    "IPAdapterUnifiedLoaderCommunity": BY_PRESET,
    "IPAdapterUnifiedLoaderFaceID": f"{BY_PRESET}, and {FACES}",
    "IPAdapterInsightFaceLoader": FACES,
    "InstantIDFaceAnalysis": FACES,
    "DiffusersLoader": "it loads a folder of models/diffusers",
    "easy ipadapterApply": BY_PRESET,
    "easy ipadapterApplyADV": BY_PRESET,
    "easy ipadapterApplyEncoder": BY_PRESET,
    "easy ipadapterApplyFromParams": BY_PRESET,
    "easy ipadapterStyleComposition": BY_PRESET,
    "easy ipadapterApplyFaceIDKolors": f"{BY_PRESET}, and {FACES}",
    "easy instantIDApply": FACES,
    "easy instantIDApplyADV": FACES,
    "easy pulIDApply": EVA_CLIP,
    "easy pulIDApplyADV": EVA_CLIP,
}
"""Classes that load models which none of their inputs names. Complete for the classes of the bundled catalog."""
DOWNLOADS_MODEL = "it downloads its model when it runs"
OWN_MODELS = "it may load a model that no input names, or download one when it runs"
NO_FOLDER = "the model folder of this input is not known"
NO_FILE = "it names a model that is not a file of a known model folder"
NO_CLASS = "the catalog has no such class; use --catalog to name the catalog of the target ComfyUI"
UNKNOWN_TAGS = "it is not known how this class reads LoRAs in a text"
RANDOM_LORA = "the name of this LoRA is chosen at random when the node runs"

DOWNLOADER_NAME = re.compile(r"Download|AutoLoad|Preprocessor", re.IGNORECASE)
LOADER_NAME = re.compile(
    r"Load|Preprocessor|Unified|(Detector|Classifier)Provider|Rem(ove)?_?-? ?(B(ack)?_?g|Background)|RmBg|RMBG|Matting"
    r"|Segment|Segformer|SemSeg|CLIPS[Ee][Gg]|Mask By Text|\bSAM\d?|SAM2|Ground(ing)?|Florence|Tagger|BLIP|Caption"
    r"|Interrogat|LLM|LLaVA|Llava|VLM|(?<!Model)Q[Ww]en|Ollama|Superprompt|BiRefNet|BEN2|UltraDetail|HumanParts|PersonMask|Yolo"
    r"|Depth ?Anything|DepthMap|MiDaS|Zoe|Marigold|Deep ?Bump|Pose|VFI|RIFE|RAFTEstimate|Whisper|TTS|MMAudio|Demucs"
    r"|LatentSync|Wav2Lip|SadTalker|EchoMimic|VTON|OOTD|DDColor|InsightFace|FaceAnalysis|FaceSwap|FaceRestor|FaceParsing"
    r"|ReActor|LivePortrait|Inpaint.*Lama|LaMa|Session|Upscal.*By Model|SUPIR|SeedVR|Translat|OCR|ImageReward"
    r"|icLightApply|easy applyInpaint|preSamplingLayerDiffusion"
)
"""Parts of class names that hint at a class that loads models, from shared workflows and pack registries."""
NO_MODEL_NAME = re.compile(
    r"Load.*(Image|Img|Video|Audio|Text|Mask|Latent|Json|Prompt|Lines|File|Font|Frames|GIF|CSV|Dir|Folder|Style|Preset"
    r"|PSD|Cache|Pose|FromEXR|Settings)"
    r"|(Image|Video|Audio|Text|Mask|Latent|Prompt|String|File|Style).*Load|Reload|Unload|Workload|Upload|Payload"
    r"|(Canny|CannyEdge|Binary|Color|Scribble|Scribble_XDoG|Tile|Shuffle|Inpaint|LineartStandard|PyraCanny|TTPlanet.*)_?"
    r"Preprocessor|^FaceKeypointsPreprocessor$|ToSegs|Crop|Camera.*Pose|PoseKps|PoseAspect"
    r"|^ReActor(Options|SetWeight|ImageDublicator)$|^SAM Parameters",
    re.IGNORECASE,
)
"""Class names that match `LOADER_NAME`, but load other things or work without a model."""
NO_MODEL_VALUE = re.compile(
    r"select\b.*|choose|(en|dis)able.*|\[.*\]|base|full|copy|default|baked vae", re.IGNORECASE | re.DOTALL
)
"""Values of inputs such as `model` that do not name a model."""
SIZE_SUFFIX = re.compile(r"\(\d+(\.\d+)? ?[MG]B\)")
"""Suffix that some packs add to the name of a model that they download."""
MODEL_IN_JSON = re.compile(r"""\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx)["']""", re.IGNORECASE)
"""End of a model's file name in a value that is JSON text."""
MODEL_WORD = re.compile(r"Download|Model|Encoder|VAE|LoRA|Ckpt|Checkpoint|Control_?Net|U-?Net|Pipeline|Diffus", re.I)
MODEL_INPUT = re.compile(
    r"(?:^|[_ ])(?:model|ckpt|checkpoint|unet|vae|lora|control_?net|weights|repo)(?:_?(?:name|id|path|file))?$", re.I
)

MODEL_OUTPUT = re.compile(r"MODEL|^(CLIP|VAE|CONTROL_NET|IPADAPTER|PIPELINE)$|DETECTOR|PREDICTOR", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class UnseenModel:
    """The reason why a node may need a model. `input` and `value` are set if the reason is one of its inputs."""

    reason: str
    node_id: str | None = None
    class_type: str | None = None
    input: str | None = None
    value: str | None = None


def unseen_models(prompt: Prompt, catalog: Catalog) -> Iterator[UnseenModel]:
    """Yield the models that running nodes may load, but that `needed_models` does not return.

    A class of the bundled catalog is only reported if it is in `HIDDEN_MODELS`, because all its inputs are known.
    """
    for node_id in running_nodes(prompt, catalog):
        node = prompt[node_id]
        class_type = node["class_type"]
        if class_type in HIDDEN_MODELS:
            yield UnseenModel(HIDDEN_MODELS[class_type], node_id, class_type)
        if class_type in bundled_catalog() or class_type in HIDDEN_MODELS:
            continue
        models = list(_unseen_in_inputs(node_id, node, catalog))
        yield from models
        reason = _class_reason(node, catalog)
        if not models and reason is not None:
            yield UnseenModel(reason, node_id, class_type)


def _class_reason(node: Node, catalog: Catalog) -> str | None:
    """Return the reason why a class may load a model, judged by its name and its outputs, or None."""
    class_type = node["class_type"]
    if folders_by_input(class_type) or reads_loras(class_type):  # `needed_models` knows how it names its models
        return None
    if class_type not in catalog:
        return NO_CLASS
    if NO_MODEL_NAME.search(class_type) and not MODEL_WORD.search(class_type):
        return None
    if DOWNLOADER_NAME.search(class_type):
        return DOWNLOADS_MODEL
    return OWN_MODELS if LOADER_NAME.search(class_type) or _creates_model(node, catalog) else None


def _creates_model(node: Node, catalog: Catalog) -> bool:
    """Return whether a node has an output of a model type, but no linked input that the model could come from."""
    if next(links(node), None) is not None:
        return False
    types = (output.type for output in catalog[node["class_type"]].outputs)
    return any(isinstance(kind, str) and MODEL_OUTPUT.search(kind) for kind in types)


def _unseen_in_inputs(node_id: str, node: Node, catalog: Catalog) -> Iterator[UnseenModel]:
    """Yield an unseen model for each text of a node that may name a model. Skip inputs whose folder is known."""
    class_type = node["class_type"]
    for name, value in node["inputs"].items():
        if folders_of(class_type, name):
            continue
        for path, text in _texts(name, value):
            reason = _text_reason(node, path, text, catalog)
            if reason is not None:
                yield UnseenModel(reason, node_id, class_type, path, text[:200])


def _text_reason(node: Node, path: str, text: str, catalog: Catalog) -> str | None:
    """Return the reason why a text in an input may name a model, or None.

    `path` is the name of the input, followed by the keys of the value that contains the text (`loras.0.name`).
    """
    class_type = node["class_type"]
    if "<lora:" in text:
        if reads_loras(class_type):
            return RANDOM_LORA if any(has_random_name(inside) for inside in tag_contents(text)) else None
        return UNKNOWN_TAGS if _outputs_model(class_type, catalog) else None
    is_file_name = names_model(text.strip()) and "\n" not in text
    is_json_with_file = text.lstrip()[:1] in {"[", "{"} and MODEL_IN_JSON.search(text)
    if is_file_name or is_json_with_file:
        return None if reads_loras(class_type) else NO_FOLDER
    is_name = text not in NO_MODEL and len(text) > 1 and not NO_MODEL_VALUE.fullmatch(text)
    if (is_name and MODEL_INPUT.search(path)) or SIZE_SUFFIX.search(text):
        return DOWNLOADS_MODEL if DOWNLOADER_NAME.search(class_type) else NO_FILE
    return None


def _outputs_model(class_type: str, catalog: Catalog) -> bool:
    """Return whether a class has an output of type MODEL, as a class that applies LoRAs has.

    Return True for a class that is not in the catalog.
    """
    if class_type not in catalog:
        return True
    return "MODEL" in {output.type for output in catalog[class_type].outputs if isinstance(output.type, str)}


def _texts(path: str, value: Json) -> Iterator[tuple[str, str]]:
    """Yield (path, text) for each text at any depth of a value. `path` is the path of the value itself."""
    match value:
        case str():
            yield path, value
        case dict():
            for key, item in value.items():
                yield from _texts(f"{path}.{key}", item)
        case list():
            for index, item in enumerate(value):
                yield from _texts(f"{path}.{index}", item)
