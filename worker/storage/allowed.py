"""Check of the hosts to which a request may send its outputs (WORKER_S3_ALLOWED_HOSTS)."""

from __future__ import annotations

from worker.errors import StartupError, TargetNotAllowed
from worker.fetch.policy import HostPattern, Policy
from worker.fetch.target import FetchTarget, read_target


def storage_policy(allowed_hosts: str) -> Policy:
    """Return the policy for the comma-separated hosts. Raises StartupError that names a bad entry."""
    entries = [entry.strip() for entry in allowed_hosts.split(",") if entry.strip()]
    try:
        return Policy(tuple(HostPattern.read(entry) for entry in entries))
    except ValueError as error:
        raise StartupError(
            f"WORKER_S3_ALLOWED_HOSTS: {error} is not a host; write host, *.domain or host:port"
        ) from None


def check_url(policy: Policy, url: str) -> FetchTarget:
    """Return the parsed URL. Raises UrlRefused, or TargetNotAllowed if the host is not allowed. No name is resolved."""
    target = read_target(url)
    # A pattern without a port matches the default ports only.
    if not any(pattern.matches(target) and (pattern.port or target.port in policy.ports) for pattern in policy.opened):
        raise TargetNotAllowed(
            f"outputs may not be sent to {target.host}:{target.port}: WORKER_S3_ALLOWED_HOSTS does not name it"
        )
    policy.check(target)
    return target
