"""Tables of file inputs: which inputs list files, and from which folders.

A catalog shows such an input as a plain list of names, without the folder. The tables cover ComfyUI 0.33.0, and
RES4LYF, IPAdapter_plus, InstantID and VideoHelperSuite at the revisions that the image pins. The folders of other packs
were measured (`measured_folders`). "input" is the folder of uploads. The other names are those of `GET /models`.
"""

from __future__ import annotations

from functools import cache

from worker.workflow.catalog.measured_folders import measured_folders
from worker.workflow.catalog.path_inputs import PathUse, path_use

_LISTED: dict[str, str] = {
    "audio_encoders": "AudioEncoderLoader.audio_encoder_name",
    "background_removal": "LoadBackgroundRemovalModel.bg_removal_name",
    "checkpoints": "CheckpointLoader.ckpt_name CheckpointLoaderSimple.ckpt_name ClownModelLoader.model_name"
    " CreateHookModelAsLora.ckpt_name CreateHookModelAsLoraModelOnly.ckpt_name FluxLoader.model_name"
    " ImageOnlyCheckpointLoader.ckpt_name LTXAVTextEncoderLoader.ckpt_name LTXVAudioVAELoader.ckpt_name"
    " SD35Loader.model_name unCLIPCheckpointLoader.ckpt_name",
    "clip_vision": "CLIPVisionLoader.clip_name FluxLoader.clip_vision_name UltraSharkSampler+Tiled.clip_name",
    "controlnet": "ControlNetLoader.control_net_name DiffControlNetLoader.control_net_name",
    "datasets": "LoadTrainingDataset.folder_name",
    "detection": "LoadMediaPipeFaceLandmarker.model_name",
    "diffusers": "DiffusersLoader.model_path",
    "diffusion_models": "ClownModelLoader.model_name FluxLoader.model_name LayerPatcher.embedder LayerPatcher.gates"
    " LayerPatcher.last_layer SD35Loader.model_name UNETLoader.unet_name",
    "frame_interpolation": "FrameInterpolationModelLoader.model_name",
    "geometry_estimation": "LoadDA3Model.model_name LoadMoGeModel.model_name",
    "gligen": "GLIGENLoader.gligen_name",
    "hypernetworks": "HypernetworkLoader.hypernetwork_name",
    "input": "GeminiInputFiles.file IPAdapterLoadEmbeds.embeds Load3D.model_file Load3DAdvanced.model_file"
    " LoadAudio.audio LoadImage.image LoadImageMask.image LoadLatent.latent LoadVideo.file Mask+Sketch.image"
    " LoadImageDataSetFromFolder.folder LoadImageTextDataSetFromFolder.folder LoadVideoDataSetFromFolder.folder"
    " LoadVideoTextDataSetFromFolder.folder"
    " OpenAIInputFiles.file TextLoadFile.text_file VHS_LoadAudioUpload.audio VHS_LoadImages.directory"
    " VHS_LoadVideo.video VHS_LoadVideoFFmpeg.video",
    "instantid": "InstantIDModelLoader.instantid_file",
    "ipadapter": "IPAdapterModelLoader.ipadapter_file",
    "latent_upscale_models": "LatentUpscaleModelLoader.model_name",
    "loras": "CreateHookLora.lora_name CreateHookLoraModelOnly.lora_name LoraLoader.lora_name"
    " LoraLoaderBypass.lora_name LoraLoaderBypassModelOnly.lora_name LoraLoaderModelOnly.lora_name"
    " TrainLoraNode.existing_lora",
    "model_patches": "ModelPatchLoader.name",
    "optical_flow": "OpticalFlowLoader.model_name",
    "photomaker": "PhotoMakerLoader.photomaker_model_name",
    "style_models": "FluxLoader.style_model_name StyleModelLoader.style_model_name",
    "text_encoders": "CLIPLoader.clip_name ClownModelLoader.clip_name1_opt ClownModelLoader.clip_name2_opt"
    " ClownModelLoader.clip_name3_opt ClownModelLoader.clip_name4_opt DualCLIPLoader.clip_name1"
    " DualCLIPLoader.clip_name2 FluxLoader.clip_name1 FluxLoader.clip_name2_opt LTXAVTextEncoderLoader.text_encoder"
    " QuadrupleCLIPLoader.clip_name1 QuadrupleCLIPLoader.clip_name2 QuadrupleCLIPLoader.clip_name3"
    " QuadrupleCLIPLoader.clip_name4 SD35Loader.clip_name1 SD35Loader.clip_name2_opt SD35Loader.clip_name3_opt"
    " TripleCLIPLoader.clip_name1 TripleCLIPLoader.clip_name2 TripleCLIPLoader.clip_name3",
    "upscale_models": "UpscaleModelLoader.model_name",
    "vae": "ClownModelLoader.vae_name FluxLoader.vae_name SD35Loader.vae_name VAELoader.vae_name",
}


@cache
def _folders_by_class_and_input() -> dict[tuple[str, str], tuple[str, ...]]:
    """Return `_LISTED` as a mapping from (class, input) to folders."""
    table: dict[tuple[str, str], tuple[str, ...]] = {}
    for folder, listed in _LISTED.items():
        for item in listed.split():
            class_name, _, input_name = item.partition(".")
            key = class_name.replace("+", " "), input_name  # "+" stands for a space in the name of a class
            table[key] = (*table.get(key, ()), folder)
    return table


def folders_of(class_name: str, input_name: str) -> tuple[str, ...]:
    """Return the folders whose files this input lists, or an empty tuple.

    The folder "input" also applies to an input that takes the path of an upload as free text.
    """
    listed = _folders_by_class_and_input().get((class_name, input_name))
    folders = listed or measured_folders().get(class_name, {}).get(input_name)
    if folders:
        return folders
    return ("input",) if path_use(class_name, input_name) is PathUse.INPUT else ()


def folders_by_input(class_name: str) -> dict[str, tuple[str, ...]]:
    """Return the folders of each file input of a class, by the name of the input."""
    listed = {name: folders for (owner, name), folders in _folders_by_class_and_input().items() if owner == class_name}
    return {**measured_folders().get(class_name, {}), **listed}


def all_folders() -> list[str]:
    """Return the sorted names of all model folders from which some input lists files."""
    measured = {folder for inputs in measured_folders().values() for folders in inputs.values() for folder in folders}
    return sorted((_LISTED.keys() | measured) - {"input", "datasets"})
