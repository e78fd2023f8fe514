"""Names and limits of the app."""

APP_NAME = "image-generation"

GPU = "L40S"
MAX_INPUTS = 4
TIMEOUT_S = 1800
STARTUP_TIMEOUT_S = 600
SCALEDOWN_WINDOW_S = 300

COMFYUI_DIR = "/root/ComfyUI"
COMFYUI_PORT = 8000

MODELS_VOLUME = "comfyui-models"
MODELS_PATH = "/models"
RESULTS_VOLUME = "comfyui-results"
RESULTS_PATH = "/results"

SECRETS = ["huggingface-secret"]
