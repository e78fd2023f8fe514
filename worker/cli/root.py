"""The program `comfy-worker`."""

from __future__ import annotations

import sys

from worker.cli.application import build_application
from worker.cli.shell_completion import completed_arguments, prepare_completion
from worker.settings import environment


def main() -> None:
    """Run the command of the process's arguments and exit.

    A failure is printed as a sentence with the next step, or as JSON with `--json`.
    """
    arguments = sys.argv[1:]
    try:
        completed = completed_arguments(environment())
        if completed is not None:
            prepare_completion()
        app = build_application(arguments if completed is None else completed)
        code = app(prog_name="comfy-worker", standalone_mode=False)
    except Exception as error:
        from worker.cli.errors import report_error

        code = report_error(error, arguments)
        if code is None:
            raise
    sys.exit(code)
