"""Check of the hosts to which a request may send its outputs (WORKER_S3_ALLOWED_HOSTS)."""

from __future__ import annotations

from worker.errors import StartupError, TargetNotAllowed
from worker.fetch.policy import HostPattern, Policy
from worker.fetch.target import FetchTarget, read_target


def storage_policy(allowed_hosts: str) -> Policy:
    """Return the policy for the comma-separated hosts of WORKER_S3_ALLOWED_HOSTS.

    Raises StartupError, which names the entry, if one is not a host.
    """
    entries = [entry.strip() for entry in allowed_hosts.split(",") if entry.strip()]
    try:
        return Policy(tuple(HostPattern.read(entry) for entry in entries))
    except ValueError as error:
        raise StartupError(
            f"WORKER_S3_ALLOWED_HOSTS: {error} is not a host; write host, *.domain or host:port"
        ) from None


def check_url(policy: Policy, url: str) -> FetchTarget:
    """Return the parsed URL if outputs may be sent to it. No name is resolved.

    Raises UrlRefused if the URL is invalid, and TargetNotAllowed if the policy does not name its host and port.
    """
    target = read_target(url)
    has_default_port = target.port in policy.ports
    # A pattern without a port matches the default ports only.
    is_allowed = any(pattern.matches(target) and (pattern.port or has_default_port) for pattern in policy.opened)
    if not is_allowed:
        raise TargetNotAllowed(
            f"outputs may not be sent to {target.host}:{target.port}: WORKER_S3_ALLOWED_HOSTS does not name it"
        )
    policy.check(target)
    return target
