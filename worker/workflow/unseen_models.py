"""What of a prompt may need a model that nobody here can see: no input names it, or its folder is not known."""

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
EVA_CLIP = f"{FACES}, and fetches EVA-CLIP when it runs"
HIDDEN = {
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
"""Classes that load what none of their inputs names; of the classes of the bundled catalog, all."""
FETCHES = "it fetches its model itself when it runs"
OWN_MODELS = "it may load a model that no input names, or fetch one when it runs"
NO_FOLDER = "the folder that this input looks into is not known"
NO_FILE = "it names a model that is not a file of a known folder"
NO_CLASS = "the catalog has no such class: --catalog names that of the ComfyUI it is for"
TAGS = "how this class reads LoRAs in a text is not known"
DRAWN = "the name of this LoRA is drawn when the node runs"

DOWNLOADS = re.compile(r"Download|AutoLoad|Preprocessor", re.IGNORECASE)
LOADS = re.compile(
    r"Load|Preprocessor|Unified|(Detector|Classifier)Provider|Rem(ove)?_?-? ?(B(ack)?_?g|Background)|RmBg|RMBG|Matting"
    r"|Segment|Segformer|SemSeg|CLIPS[Ee][Gg]|Mask By Text|\bSAM\d?|SAM2|Ground(ing)?|Florence|Tagger|BLIP|Caption"
    r"|Interrogat|LLM|LLaVA|Llava|VLM|(?<!Model)Q[Ww]en|Ollama|Superprompt|BiRefNet|BEN2|UltraDetail|HumanParts|PersonMask|Yolo"
    r"|Depth ?Anything|DepthMap|MiDaS|Zoe|Marigold|Deep ?Bump|Pose|VFI|RIFE|RAFTEstimate|Whisper|TTS|MMAudio|Demucs"
    r"|LatentSync|Wav2Lip|SadTalker|EchoMimic|VTON|OOTD|DDColor|InsightFace|FaceAnalysis|FaceSwap|FaceRestor|FaceParsing"
    r"|ReActor|LivePortrait|Inpaint.*Lama|LaMa|Session|Upscal.*By Model|SUPIR|SeedVR|Translat|OCR|ImageReward"
    r"|icLightApply|easy applyInpaint|preSamplingLayerDiffusion"
)
"""Parts of names of classes that load models, found in shared workflows and registries of packs."""
NO_MODELS = re.compile(
    r"Load.*(Image|Img|Video|Audio|Text|Mask|Latent|Json|Prompt|Lines|File|Font|Frames|GIF|CSV|Dir|Folder|Style|Preset"
    r"|PSD|Cache|Pose|FromEXR|Settings)"
    r"|(Image|Video|Audio|Text|Mask|Latent|Prompt|String|File|Style).*Load|Reload|Unload|Workload|Upload|Payload"
    r"|(Canny|CannyEdge|Binary|Color|Scribble|Scribble_XDoG|Tile|Shuffle|Inpaint|LineartStandard|PyraCanny|TTPlanet.*)_?"
    r"Preprocessor|^FaceKeypointsPreprocessor$|ToSegs|Crop|Camera.*Pose|PoseKps|PoseAspect"
    r"|^ReActor(Options|SetWeight|ImageDublicator)$|^SAM Parameters",
    re.IGNORECASE,
)
"""Those that load other things, or work without one."""
CHOICES = re.compile(
    r"select\b.*|choose|(en|dis)able.*|\[.*\]|base|full|copy|default|baked vae", re.IGNORECASE | re.DOTALL
)
"""Texts of inputs whose names speak of a model, that name none."""
SIZED = re.compile(r"\(\d+(\.\d+)? ?[MG]B\)")
"""How some packs end the name of a model that they fetch."""
IN_JSON = re.compile(r"""\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx)["']""", re.IGNORECASE)
"""The end of a model's name in a value that a pack keeps as JSON text."""
MODEL_WORD = re.compile(r"Download|Model|Encoder|VAE|LoRA|Ckpt|Checkpoint|Control_?Net|U-?Net|Pipeline|Diffus", re.I)
MODEL_INPUT = re.compile(
    r"(?:^|[_ ])(?:model|ckpt|checkpoint|unet|vae|lora|control_?net|weights|repo)(?:_?(?:name|id|path|file))?$", re.I
)

MODEL_TYPE = re.compile(r"MODEL|^(CLIP|VAE|CONTROL_NET|IPADAPTER|PIPELINE)$|DETECTOR|PREDICTOR", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class UnseenModel:
    """Why a node may need a model; `value` is what its `input` says, where it is an input."""

    reason: str
    node_id: str | None = None
    class_type: str | None = None
    input: str | None = None
    value: str | None = None


def unseen_models(prompt: Prompt, catalog: Catalog) -> Iterator[UnseenModel]:
    """Yield what may be a model beside those of `needed_models`, of the nodes that run."""
    for node_id in running_nodes(prompt, catalog):
        node = prompt[node_id]
        class_type = node["class_type"]
        if class_type in HIDDEN:
            yield UnseenModel(HIDDEN[class_type], node_id, class_type)
        if class_type in bundled_catalog() or class_type in HIDDEN:
            continue
        found = list(_in_inputs(node_id, node, catalog))
        reason = None if found else _by_class(node, catalog)
        yield from found if reason is None else (UnseenModel(reason, node_id, class_type),)


def _by_class(node: Node, catalog: Catalog) -> str | None:
    class_type = node["class_type"]
    if folders_by_input(class_type) or reads_loras(class_type):
        return None
    if class_type not in catalog:
        return NO_CLASS
    if NO_MODELS.search(class_type) and not MODEL_WORD.search(class_type):
        return None
    if DOWNLOADS.search(class_type):
        return FETCHES
    return OWN_MODELS if LOADS.search(class_type) or _makes_model(node, catalog) else None


def _makes_model(node: Node, catalog: Catalog) -> bool:
    """Tell whether a node hands on a model that it got from no other node."""
    types = (output.type for output in catalog[node["class_type"]].outputs)
    return next(links(node), None) is None and any(isinstance(one, str) and MODEL_TYPE.search(one) for one in types)


def _in_inputs(node_id: str, node: Node, catalog: Catalog) -> Iterator[UnseenModel]:
    class_type = node["class_type"]
    for name, value in node["inputs"].items():
        if folders_of(class_type, name):
            continue
        for place, text in _texts(name, value):
            reason = _reason(node, place, text, catalog)
            if reason is not None:
                yield UnseenModel(reason, node_id, class_type, place, text[:200])


def _reason(node: Node, place: str, text: str, catalog: Catalog) -> str | None:
    class_type = node["class_type"]
    if "<lora:" in text:
        if reads_loras(class_type):
            return DRAWN if any(has_random_name(inside) for inside in tag_contents(text)) else None
        return TAGS if _loads(class_type, catalog) else None
    if (names_model(text.strip()) and "\n" not in text) or (text.lstrip()[:1] in {"[", "{"} and IN_JSON.search(text)):
        return None if reads_loras(class_type) else NO_FOLDER
    named = MODEL_INPUT.search(place) and text not in NO_MODEL and len(text) > 1 and not CHOICES.fullmatch(text)
    if named or SIZED.search(text):
        return FETCHES if DOWNLOADS.search(class_type) else NO_FILE
    return None


def _loads(class_type: str, catalog: Catalog) -> bool:
    """Tell whether a class hands on a model, as one that reads LoRAs in a text does."""
    if class_type not in catalog:
        return True
    return "MODEL" in {output.type for output in catalog[class_type].outputs if isinstance(output.type, str)}


def _texts(place: str, value: Json) -> Iterator[tuple[str, str]]:
    """(place, text) of each text in a value."""
    match value:
        case str():
            yield place, value
        case dict():
            for key, item in value.items():
                yield from _texts(f"{place}.{key}", item)
        case list():
            for index, item in enumerate(value):
                yield from _texts(f"{place}.{index}", item)
