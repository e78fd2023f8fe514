"""Starts an engine in its sandbox: `python -I -S launcher.py PARENT PROGRAM ARGUMENT...`, with the policy on stdin.

This is a standalone script that imports no package, so that it loads nothing that a node pack could have replaced. The
Landlock libraries on PyPI are young as well. The policy is the JSON of `SandboxPolicy`. The engine replaces this
process, and its children are in the same sandbox.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import stat
import struct
import sys
from typing import Any

PR_SET_PDEATHSIG, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 23, 24, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
MOST_CAPABILITIES = 64
CAPABILITY_VERSION_3 = 0x20080522

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Numbers of Landlock's system calls, the same on all architectures of Linux except Alpha."""
ASK_VERSION, RULE_PATH, RULE_PORT = 1, 1, 2

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
MAKE_SOCK, MAKE_SYM = 1 << 9, 1 << 12
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
EVERY_ACCESS = (1 << 16) - 1
SINCE = {REFER: 2, TRUNCATE: 3, IOCTL_DEV: 5}
"""Version of Landlock since which an access can be denied."""
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
BIND_TCP, CONNECT_TCP, TCP_SINCE = 1, 2, 4
ABSTRACT_SOCKETS, SIGNALS, SCOPES_SINCE = 1, 2, 6

READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER
# No folder allows symbolic links or pipes. The worker itself reads `write` folders, and a job could move a folder with
# a link into one from a private folder.
RIGHTS = {
    "names": READ_DIR,
    "read": READ | EXECUTE,
    "inputs": READ | MAKE_DIR,
    "write": WRITE,
    "private": WRITE | EXECUTE | MAKE_SOCK,
    "devices": READ | WRITE_FILE | IOCTL_DEV,
}

libc = ctypes.CDLL(None, use_errno=True)


def main(parent: int, program: list[str]) -> None:
    """Apply the policy on stdin to this process, and replace it by the program.

    `parent` is the process id of the parent.
    """
    policy = json.loads(sys.stdin.buffer.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # the engine's stdin
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    _checked("no_new_privs", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    ruleset = _ruleset(policy) if policy["landlock"] else None
    drop_capabilities()
    if ruleset is not None:
        _checked("landlock_restrict_self", libc.syscall(RESTRICT_SELF, ruleset, 0))
        os.close(ruleset)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # last, because a change of capabilities may clear it
    if os.getppid() != parent:  # the parent has ended already
        sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - the command is the operator's


def drop_capabilities() -> None:
    """Drop every capability, also from the bounding set where this process may change it."""
    for capability in range(MOST_CAPABILITIES):
        if libc.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    _checked("capset", libc.capset(header, bytes(24)))


def _ruleset(policy: dict[str, Any]) -> int:
    """Return the descriptor of a ruleset with the policy's rules, as far as the kernel supports them."""
    version = libc.syscall(CREATE_RULESET, None, 0, ASK_VERSION)
    # The kernel rejects an access that it does not know, and a structure that is longer than its own.
    handled = EVERY_ACCESS & ~sum(access for access, since in SINCE.items() if version < since)
    ports = policy["tcp"]
    network = BIND_TCP | CONNECT_TCP if ports is not None and version >= TCP_SINCE else 0
    scopes = ABSTRACT_SOCKETS | SIGNALS if version >= SCOPES_SINCE else 0
    attributes = struct.pack("=QQQ", handled, network, scopes)
    size = 24 if version >= SCOPES_SINCE else 16 if version >= TCP_SINCE else 8
    ruleset = _checked("landlock_create_ruleset", libc.syscall(CREATE_RULESET, attributes, size, 0))
    for kind, access in RIGHTS.items():
        for path in policy[kind]:
            _allow(ruleset, path, access & handled)
    for port in ports if network else ():
        rule = struct.pack("=QQ", network, port)
        _checked("a rule for a port", libc.syscall(ADD_RULE, ruleset, RULE_PORT, rule, 0))
    return ruleset


def _allow(ruleset: int, path: str, access: int) -> None:
    """Add a rule that allows `access` to a path and what is below it.

    A path that does not exist or cannot be opened needs none.
    """
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        access &= ON_FILES
    rule = struct.pack("=Qi", access, descriptor)
    if access:
        _checked(f"a rule for {path}", libc.syscall(ADD_RULE, ruleset, RULE_PATH, rule, 0))
    os.close(descriptor)


def _checked(call: str, result: int) -> int:
    """Return the result of a C call, or exit when it has failed: the engine must not run without its sandbox.

    `call` names it in the message.
    """
    if result < 0:
        reason = os.strerror(ctypes.get_errno())
        sys.exit(f"the sandbox cannot be set up: {call}: {reason}; WORKER_SANDBOX=off starts engines without it")
    return result


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
