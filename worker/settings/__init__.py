"""Settings, read once from the environment into frozen groups. Each part of the worker gets its own group."""

from worker.settings.engine import ComfySettings, PreviewMethod
from worker.settings.engine_environment import engine_environment
from worker.settings.environment import environment, set_missing_variables
from worker.settings.fetch import FetchSettings
from worker.settings.handlers.environment import handlers_environment
from worker.settings.handlers.settings import HandlerSettings
from worker.settings.inputs import InputSettings
from worker.settings.limits import LimitSettings
from worker.settings.models import ModelSettings
from worker.settings.outputs import OutputSettings
from worker.settings.s3 import S3Settings
from worker.settings.sandbox import EngineNetwork, SandboxMode, SandboxSettings
from worker.settings.server import ServerSettings
from worker.settings.setting import parse, setting
from worker.settings.settings import Settings
from worker.settings.webhooks import WebhookSettings

__all__ = [
    "ComfySettings",
    "EngineNetwork",
    "FetchSettings",
    "HandlerSettings",
    "InputSettings",
    "LimitSettings",
    "ModelSettings",
    "OutputSettings",
    "PreviewMethod",
    "S3Settings",
    "SandboxMode",
    "SandboxSettings",
    "ServerSettings",
    "Settings",
    "WebhookSettings",
    "engine_environment",
    "environment",
    "handlers_environment",
    "parse",
    "set_missing_variables",
    "setting",
]
