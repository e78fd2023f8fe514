"""The step that a failure ends with: the next command to run, or the option to give."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from worker.errors import Detail

if TYPE_CHECKING:
    from worker.cli.output.failure import Failure

RETRY = "Run the same command again later, or name another worker with --url."
VALIDATE = "Run `comfy-worker validate FILE` to see every problem of the workflow."

NEXT_STEPS = {
    # Arguments
    "usage": "Run `{command} --help` to see the arguments, options and examples.",
    "file_unreadable": "Run `{command} --help` to see which option names another file.",
    "unknown_template": "Run `comfy-worker templates` to list the templates.",
    "invalid_params": "Run `comfy-worker templates show NAME` to see the parameters of a template.",
    "not_saved": "Choose another folder with --out.",
    # This machine
    "state_in_use": "Stop the other worker, or choose another folder with `comfy-worker serve --state FOLDER`.",
    "cannot_listen": "Run `{command} --port 0` to listen on a free port.",
    "handlers_port_in_use": "Stop the program with this port, or run `{command}` with another WORKER_HANDLERS_PORT.",
    "unknown_platform": "Run `{command} --platform auto` to detect the platform.",
    "not_started": "Run `comfy-worker doctor` to check this machine and its settings.",
    "no_engine": "Run `comfy-worker doctor` to check this machine and its settings.",
    "no_checkpoint": "Run `comfy-worker models fetch sdxl --folder FOLDER` to download a checkpoint.",
    "no_workflows": "Name a folder that has workflow files with --workflows.",
    "bad_workflow": VALIDATE,
    "not_reported": "Run `comfy-worker demo` again; the workers' logs are in the folder that it names.",
    # A worker
    "unreachable": "Start a worker with `comfy-worker serve`, or name a running one with --url.",
    "bad_answer": "Check the address in --url: it has to be a worker's, not ComfyUI's.",
    "unauthorized": "Give one of the worker's tokens with --token or in WORKER_TOKEN.",
    "bad_signature": "Send the workflow through Vast with --vast-endpoint NAME.",
    "invalid_workflow": VALIDATE,
    "cannot_convert": "Give the nodes of your ComfyUI with `comfy-worker convert FILE --catalog object_info.json`.",
    "invalid_input_file": "Send the file with --input NAME=FILE. NAME is the file name that the workflow uses.",
    "input_too_large": "Send a smaller file with --input NAME=FILE.",
    "models_missing": "Run `comfy-worker models fetch FILE` on the machine of the worker.",
    "node_failed": "Change the node's inputs with --set NODE.INPUT=VALUE.",
    "out_of_memory": "Choose a smaller size or batch with --set NODE.INPUT=VALUE.",
    # Vast
    "key_missing": "Set VAST_API_KEY to a key from https://cloud.vast.ai/manage-keys/ and run `{command}` again.",
    "vast_key_refused": "Set VAST_API_KEY to a valid key from https://cloud.vast.ai/manage-keys/.",
    "vast_refused": "Run `comfy-worker deploy plan` to see what would be sent.",
    "vast_unreachable": "Run `{command}` again: a repeated call is safe.",
    "vast_rate_limited": "Run `{command}` again in a minute.",
    "fleet_invalid": "Correct the file and run `comfy-worker deploy plan` to check it.",
    "values_missing": "Export these variables and run `{command}` again.",
    "ambiguous": "Run `comfy-worker deploy status` to see what the account has.",
    "not_this_fleet": "Run `comfy-worker deploy adopt NAME` to take them over.",
    "plan_invalid": "Run `comfy-worker deploy plan --out FILE` to write a plan.",
    "plan_stale": "Run `comfy-worker deploy plan --out FILE` to write a new plan.",
    "snapshot_invalid": "Run `comfy-worker deploy snapshot --out FILE` to write a snapshot.",
    "no_former_version": "Name the template's hash with `comfy-worker deploy rollback --to HASH`.",
    "smoke_failed": "Run `comfy-worker deploy logs` to see what the workers logged.",
    "deploy_failed": "Run `comfy-worker deploy status` to see the state of the fleet.",
    # Learned load
    "nothing_learned": "Run jobs on a worker first, or name its state folder with --state.",
    "load_invalid": "Run `comfy-worker load export FILE` with this release to write the file again.",
    "mixed_gpu_classes": "Run `{command} --help`: name one class with --gpu.",
    # Simulation
    "target_invalid": "Run `{command} --help` to see examples.",
    "trace_invalid": "Correct the file and run `comfy-worker fleet trace --summary FILE` to check it.",
    "no_arrivals": "Run jobs on a worker first, or name its state folder with --state.",
    # Prices
    "prices_invalid": "Correct the file and run `comfy-worker prices --file FILE` to check it.",
    "price_unknown": "Run `comfy-worker prices` to see which prices are known, and add this one in a price file.",
    # Proxy
    "proxy_config_invalid": "Correct the file and run `comfy-worker proxy check FILE` to check it.",
    # Modal
    "migration_failed": "Run `{command} --help` to see examples.",
    # Node packs
    "pins_invalid": "Correct the file, then run `comfy-worker nodes` to check it.",
    "source_unavailable": "Run `comfy-worker nodes check` to see which commits can be fetched.",
    "lock_failed": "Pin other commits with `comfy-worker nodes update NAME@REF`, then run `comfy-worker nodes lock`.",
}
"""By error code. `{command}` stands for the command that failed."""

OTHERWISE = "Run `comfy-worker doctor` to check this machine and its settings."


def next_step(failure: Failure, command: str) -> str:
    """Return the sentence that says what to do after a failure.

    `command` is the command that failed, such as `comfy-worker run`.
    """
    otherwise = RETRY if failure.retryable else OTHERWISE
    return detail_step(failure) or NEXT_STEPS.get(failure.code, otherwise).format(command=command)


def detail_step(failure: Failure) -> str:
    """Return the step for the details of a rejected workflow, or an empty text if they have none of their own."""
    for applies, step in BY_DETAIL:
        if any(applies(detail) for detail in failure.details):
            return step
    return ""


def _is_missing_class(detail: Detail) -> bool:
    """Return whether the node's class is missing, and no known class has a similar name."""
    return detail.comfyui_type == "missing_node_type" and not (detail.suggestion or "").startswith("Did you mean")


def _is_missing_model(detail: Detail) -> bool:
    """Return whether the input names a model file that the worker does not have."""
    return (detail.expected or "").startswith("a file in models/")


BY_DETAIL: tuple[tuple[Callable[[Detail], bool], str], ...] = (
    (_is_missing_class, "Pin the node pack that has the class with `comfy-worker nodes add OWNER/NAME`."),
    (_is_missing_model, "Run `comfy-worker models fetch FILE` to download the models of the workflow."),
)
"""Steps for details of a rejected workflow. They take precedence over the step of its code."""
