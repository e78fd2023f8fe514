"""Failures as texts for an agent: code, node, input, and how to correct the call."""

from __future__ import annotations

from worker.errors import Detail, Failure

MOST_DETAILS = 20
CURES = {
    "unknown_template": "Call list_templates to see the names.",
    "invalid_params": "Correct `params`. describe_template returns the schema of every parameter.",
    "invalid_workflow": "Correct the nodes above and call generate again.",
    "cannot_convert": "Export the workflow with Export (API) in ComfyUI's editor, and send that.",
    "models_missing": "Use a template whose models the server has, or ask its operator to install these files.",
    "invalid_arguments": "Correct these arguments and call the tool again.",
    "invalid_input_file": "Send the file in `inputs` under the name that the workflow uses.",
    "unauthorized": "Ask the user for a valid token. A stdio server reads it from WORKER_TOKEN or --token-file.",
    "queue_full": "Wait, and call generate again.",
    "rate_limited": "Wait a minute, and call the tool again.",
    "unreachable": "Call the tool again later. If it fails again, ask the user to start the worker.",
    "not_found": "Check the id. Jobs of other callers, and results that have expired, are not shown.",
    "not_started": "Ask the user to run `comfy-worker doctor`, and to restart this server.",
    "output_not_kept": "Run the earlier job again. Results are deleted after some time.",
    "out_of_memory": "Choose a smaller size or batch.",
    "output_too_large": "Use the URL of the output if the result has one, or ask the user for --out on a stdio server.",
}
"""By error code: what an agent does next."""

RETRY = "The same call can succeed later."


def failure_text(failure: Failure) -> str:
    """Return the failure with one line for each detail, and the cure as the last line."""
    lines = [f"{failure.code}: {failure.message}"]
    lines += [line for detail in failure.details[:MOST_DETAILS] if (line := _line(detail, failure.message))]
    if len(failure.details) > MOST_DETAILS:
        lines.append(f"... and {len(failure.details) - MOST_DETAILS} more")
    if cure := failure.step or CURES.get(failure.code) or (RETRY if failure.retryable else ""):
        lines.append(f"Next: {cure}")
    return "\n".join(lines)


def _line(detail: Detail, message: str) -> str:
    """Return one detail, without the sentences that the message of the failure has already."""
    node = f"node {detail.node_id} ({detail.node_title or detail.class_type})" if detail.node_id else ""
    place = ", ".join(filter(None, (node, f"input {detail.input}" if detail.input else "")))
    problem = "" if detail.message in message else detail.message
    expected = f"Expected: {detail.expected}." if detail.expected else ""
    cure = detail.suggestion if detail.suggestion and detail.suggestion not in message else ""
    text = " ".join(filter(None, (problem, expected, cure)))
    return f"- {': '.join(filter(None, (place, text)))}" if place or text else ""
