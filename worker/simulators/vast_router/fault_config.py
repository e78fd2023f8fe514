"""How the stand-in behaves: every way in which the real router is known to be slow, absent or unfriendly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouterFaultConfig:
    """One frozen set of switches; `LocalVast.configure` replaces it while everything runs. Times are seconds."""

    not_ready_answers: int = 0
    """How often each new request hears "not ready" before it is given a worker."""
    route_status: int = 200
    """HTTP status of `POST /route/`; the client gives up on anything but 2xx, 429 included."""
    pubkey_status: int = 200
    pubkey_answers: int | None = None
    """After so many answers in all `GET /pubkey/` is 503."""
    status_status: int = 200
    """HTTP status of `POST /worker_status/`; a report that isn't answered 2xx counts as never made."""
    status_delay_s: float = 0.0
    delete_status: int = 200
    delete_delay_s: float = 0.0
    report_page: bool = False
    """Reports and deletions are answered 200 with a page for people, and count as never made."""
    max_queue_time_s: float | None = None
    """A worker with more work than this ahead gets nothing; the request waits at the router."""
    silence_s: float = 30.0
    """A worker that said nothing for so long gets nothing. The real limit is unknown."""
    true_signature: bool = True
    """False signs with a key that isn't the published one."""
    sign_status: int = 200
    """HTTP status of `POST /api/v0/sign_cert/`."""
    sign_failures: int = 0
    """So many of its first answers are 503."""
    sign_host: str = "127.0.0.1"
    """Whom its certificates name; the real one is told an instance's number only and has to know its address."""
    sign_life_s: float = 7 * 86400.0
    sign_page: bool = False
    """It answers 200 and a page for people."""
