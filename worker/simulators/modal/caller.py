"""`python -m worker.simulators.modal.caller`: call one method with Modal's own client, in a process of its own.

Standard input is JSON: `{"app", "cls", "method", "arguments"}`. Standard output is the JSON of the result. Modal's
client reads its server and tokens from the environment when it is imported.
"""

from __future__ import annotations

import json
import sys

import modal


def main() -> None:
    """Call the method that standard input names, and print its result."""
    call = json.load(sys.stdin)
    cls = modal.Cls.from_name(call["app"], call["cls"])
    method = getattr(cls(), call["method"])
    json.dump(method.remote(**call["arguments"]), sys.stdout)


if __name__ == "__main__":
    main()
