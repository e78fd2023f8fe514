"""ComfyUI on Modal: a class on a GPU with a method for each handler, and a web endpoint.

modal deploy app.py
"""

import modal

import config
from image import comfy_image

app = modal.App(config.APP_NAME)

models = modal.Volume.from_name(config.MODELS_VOLUME, create_if_missing=True)
results = modal.Volume.from_name(config.RESULTS_VOLUME, create_if_missing=True)


@app.cls(
    image=comfy_image,
    gpu=config.GPU,
    volumes={config.MODELS_PATH: models, config.RESULTS_PATH: results},
    secrets=[modal.Secret.from_name(name) for name in config.SECRETS],
    timeout=config.TIMEOUT_S,
    startup_timeout=config.STARTUP_TIMEOUT_S,
    scaledown_window=config.SCALEDOWN_WINDOW_S,
)
@modal.concurrent(max_inputs=config.MAX_INPUTS)
class ComfyUI:
    @modal.enter()
    def start(self) -> None:
        from utils.comfyui import launch_comfy_server

        self.server = launch_comfy_server(port=config.COMFYUI_PORT)

    @modal.exit()
    def stop(self) -> None:
        self.server.terminate()

    @modal.method()
    def generate_flux(self, prompt: str, negative_prompt: str = "", **kwargs) -> dict:
        from handlers.flux import generate_flux_image

        return generate_flux_image(prompt=prompt, negative_prompt=negative_prompt, **kwargs)

    @modal.method()
    def generate_instantid(self, prompt: str, face_image: str, **kwargs) -> dict:
        from handlers.instantid import generate_instantid_image

        return generate_instantid_image(prompt=prompt, face_image=face_image, **kwargs)

    @modal.method()
    def generate_lora(self, prompt: str, lora_name: str, **kwargs) -> dict:
        from handlers.lora import generate_lora_image

        return generate_lora_image(prompt=prompt, lora_name=lora_name, **kwargs)

    @modal.method()
    def generate_wan2(self, prompt: str, **kwargs) -> dict:
        from handlers.wan2 import generate_wan2_video

        return generate_wan2_video(prompt=prompt, **kwargs)

    @modal.method()
    def upscale_seedvr2(self, image: str, **kwargs) -> dict:
        from handlers.seedvr2 import upscale_seedvr2_image

        return upscale_seedvr2_image(image=image, **kwargs)

    @modal.method()
    def run_workflow(self, workflow: dict, **kwargs) -> dict:
        from handlers.workflow import run_custom_workflow

        return run_custom_workflow(workflow=workflow, **kwargs)

    @modal.method()
    def generate_denrisi(self, prompt: str, **kwargs) -> dict:
        from handlers.workflow import generate_denrisi_image

        return generate_denrisi_image(prompt=prompt, **kwargs)

    @modal.fastapi_endpoint(method="POST")
    def api(self, item: dict) -> dict:
        """Run a handler by name: {"handler": "generate_flux", "prompt": "..."}."""
        handler = getattr(self, item.pop("handler"))
        return handler.local(**item)
