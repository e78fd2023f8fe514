"""Switches of the simulation: the ways in which the real router is known to be slow, unavailable or inconvenient."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouterFaultConfig:
    """The switches, which `LocalVast.configure` replaces while the simulation runs. Times are seconds."""

    not_ready_answers: int = 0
    """Number of "not ready" responses that each new request gets before it is given a worker."""
    route_status: int = 200
    """HTTP status of `POST /route/`. The client gives up on every status except 2xx, also on 429."""
    pubkey_status: int = 200
    pubkey_answers: int | None = None
    """Number of successful responses of `GET /pubkey/`, after which it returns 503."""
    status_status: int = 200
    """HTTP status of `POST /worker_status/`. Without 2xx the report is discarded."""
    status_delay_s: float = 0.0
    delete_status: int = 200
    delete_delay_s: float = 0.0
    report_page: bool = False
    """Whether reports and deletions get 200 with an HTML page and are discarded."""
    max_queue_time_s: float | None = None
    """A worker with more waiting work than this gets no request; the request waits at the router."""
    hold_s: float = 0.0
    """Seconds for which `POST /route/` waits for a worker before it returns "not ready". Requests that are held get
    workers in the order in which they arrived. Without it, the client that polls first gets the next worker."""
    silence_s: float = 30.0
    """A worker gets no request when its last report is older than this. The real limit is unknown."""
    true_signature: bool = True
    """False signs with another key than the published one."""
    sign_status: int = 200
    """HTTP status of `POST /api/v0/sign_cert/`."""
    sign_failures: int = 0
    """Number of first responses of `POST /api/v0/sign_cert/` that are 503."""
    sign_host: str = "127.0.0.1"
    """Host that the certificates name. The real signer gets only an instance's number and must know its address."""
    sign_life_s: float = 7 * 86400.0
    """Validity of the certificates."""
    sign_page: bool = False
    """Whether `POST /api/v0/sign_cert/` returns 200 with an HTML page."""
