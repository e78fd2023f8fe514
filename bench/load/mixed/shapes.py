"""The shapes of jobs of the mixed trace: model, size, steps, sampler, guidance, batch, passes, ControlNet."""

from __future__ import annotations

from dataclasses import dataclass, replace

from worker.workflow.json_value import Json, JsonObject
from worker.workflow.prompt import Node, Prompt

SD15, SDXL, FLUX = "v1-5-pruned-emaonly.safetensors", "sd_xl_base_1.0.safetensors", "flux1-schnell-fp8.safetensors"
Z_IMAGE, WAN = "z_image_turbo_fp8.safetensors", "wan2.1_t2v_1.3B_fp16.safetensors"
NEBULA, AURORA = "nebula-v3.safetensors", "aurora_base.safetensors"
CONTROLNET = "control_v11p_sd15_canny.safetensors"
MODELS = (SD15, SDXL, FLUX, Z_IMAGE, WAN, NEBULA, AURORA)


@dataclass(frozen=True, slots=True)
class JobShape:
    """A shape of jobs. All jobs of a shape differ only in seed and text, so they would take the same time."""

    name: str
    model: str
    width: int
    height: int
    steps: int
    cfg: float = 1.0
    sampler: str = "euler"
    batch: int = 1
    frames: int = 1
    control: bool = False
    second_pass: int = 0
    """Steps of a second sampler after the latent was enlarged by half, or 0."""

    @property
    def is_video(self) -> bool:
        """Whether the job makes a video."""
        return self.frames > 1

    def prompt(self, number: int) -> Prompt:
        """Return the prompt of one job. `number` makes its seed and its text."""
        positive = "control" if self.control else "positive"
        nodes: Prompt = {
            "model": _node("CheckpointLoaderSimple", ckpt_name=self.model),
            "positive": _node("CLIPTextEncode", clip=["model", 1], text=f"a lighthouse in weather {number}"),
            "negative": _node("CLIPTextEncode", clip=["model", 1], text=f"blurry {number}"),
            "empty": self._latent(),
            "sampler": self._sampler(number, "empty", positive, self.steps, 1.0),
        }
        last = "sampler"
        if self.control:
            nodes |= _control(number)
        if self.second_pass:
            nodes["larger"] = _node("LatentUpscaleBy", samples=["sampler", 0], upscale_method="bilinear", scale_by=1.5)
            nodes["second"] = self._sampler(number, "larger", positive, self.second_pass, 0.5)
            last = "second"
        nodes["decode"] = _node("VAEDecode", samples=[last, 0], vae=["model", 2])
        nodes["save"] = self._saver(number)
        return nodes

    def _latent(self) -> Node:
        """Return the node of the empty latent."""
        size: JsonObject = {"width": self.width, "height": self.height, "batch_size": self.batch}
        if self.is_video:
            return _node("EmptyHunyuanLatentVideo", **size, length=self.frames)
        return _node("EmptyLatentImage", **size)

    def _sampler(self, number: int, latent: str, positive: str, steps: int, denoise: float) -> Node:
        """Return the node of a sampler."""
        return _node(
            "KSampler",
            model=["model", 0],
            positive=[positive, 0],
            negative=["negative", 0],
            latent_image=[latent, 0],
            seed=number,
            steps=steps,
            cfg=self.cfg,
            sampler_name=self.sampler,
            scheduler="normal",
            denoise=denoise,
        )

    def _saver(self, number: int) -> Node:
        """Return the node that saves the images. Each folder gets few files."""
        prefix = f"load/{number // 50}/{number}"
        if not self.is_video:
            return _node("SaveImage", images=["decode", 0], filename_prefix=prefix)
        options: JsonObject = {"fps": 16.0, "lossless": False, "quality": 60, "method": "fastest"}
        return _node("SaveAnimatedWEBP", images=["decode", 0], filename_prefix=prefix, **options)


def _control(number: int) -> Prompt:
    """Return the nodes of a ControlNet, which takes a new image of one color for each job."""
    return {
        "hint": _node("EmptyImage", width=512, height=512, batch_size=1, color=number % 0xFFFFFF),
        "net": _node("ControlNetLoader", control_net_name=CONTROLNET),
        "control": _node(
            "ControlNetApply", conditioning=["positive", 0], control_net=["net", 0], image=["hint", 0], strength=0.8
        ),
    }


def _node(class_type: str, **inputs: Json) -> Node:
    """Return a node of a prompt."""
    return Node(class_type=class_type, inputs=inputs)


_PLAIN = JobShape("sd15 512, 20 steps", SD15, 512, 512, 20, 7.0)

SHAPES = (
    _PLAIN,
    replace(_PLAIN, name="sd15 512, ControlNet", steps=16, control=True),
    replace(_PLAIN, name="sd15 512, batch 4", steps=12, batch=4),
    replace(_PLAIN, name="sd15 768, heun", width=768, height=768, steps=8, sampler="heun"),
    JobShape("sdxl 1024", SDXL, 1024, 1024, 8, 5.0),
    JobShape("sdxl 1024, no guidance", SDXL, 1024, 1024, 6),
    JobShape("sdxl 768, batch 2", SDXL, 768, 768, 6, 5.0, batch=2),
    JobShape("sdxl two passes", SDXL, 640, 640, 6, 5.0, second_pass=4),
    JobShape("flux 1024", FLUX, 1024, 1024, 4),
    JobShape("flux 768x512", FLUX, 768, 512, 4),
    JobShape("z-image 1024", Z_IMAGE, 1024, 1024, 5),
    JobShape("z-image 640", Z_IMAGE, 640, 640, 8),
    JobShape("wan 33 frames", WAN, 480, 320, 5, 5.0, frames=33),
    JobShape("wan 17 frames, fast", WAN, 640, 384, 4, frames=17),
    JobShape("nebula 1024", NEBULA, 1024, 1024, 4, 4.0),
    JobShape("nebula 768", NEBULA, 768, 768, 6, 4.0),
    JobShape("aurora 512", AURORA, 512, 512, 16),
    JobShape("aurora 896, dpmpp_sde", AURORA, 896, 896, 4, 3.0, "dpmpp_sde"),
)
"""The families `nebula` and `aurora` do not exist: the worker has to learn them from nothing."""
