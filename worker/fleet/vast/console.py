"""All that can be asked about an account at Vast, and how anything is asked: again until there is an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from vastai.api import auth, billing, endpoints, instances, offers

from worker.errors import VastRateLimited, VastRefused, VastUnreachable
from worker.fleet.vast.retry_window import FIRST_S, RetryWindow
from worker.fleet.vast.rows import Actual, EndpointRow, GroupRow, Instance, Row, TemplateRow, WorkerRow
from worker.fleet.vast.session import Session

CONSOLE = "https://console.vast.ai"
AUTOSCALER = "https://run.vast.ai"
LOG_LEVELS = ("info0", "info1", "trace", "debug")
PAGE = 25

Answer = TypeVar("Answer")


class Console:
    """`timeout_s` is for one request, `limit_s` for one step of a method with all its waiting, `pause_s` for the first
    pause before a request is sent again.

    Every method raises DeployError.
    """

    def __init__(
        self,
        api_key: str,
        server_url: str = CONSOLE,
        autoscaler_url: str | None = None,
        *,
        timeout_s: float = 30.0,
        limit_s: float = 90.0,
        pause_s: float = FIRST_S,
    ) -> None:
        """Without `autoscaler_url` it is Vast's own for Vast's console, else the given server."""
        server = server_url.rstrip("/")
        autoscaler = autoscaler_url or (AUTOSCALER if server == CONSOLE else server)
        self._session = Session(api_key, server, autoscaler.rstrip("/"), timeout_s)
        self._limit_s = limit_s
        self._pause_s = pause_s
        self._user_id: int | None = None
        self._seen_endpoints: frozenset[int] = frozenset()
        """Ids of the endpoints that were there when the account was read."""
        self._seen_groups: set[int] | None = None
        """Ids of the groups that were there when we last looked, and of those made since."""

    @property
    def calls(self) -> int:
        """HTTP requests so far."""
        return self._session.calls

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def read(self) -> Actual:
        """All in four calls: an endpoint says whose it is, and without endpoints there are no groups to ask for."""
        rows = self._settle(self._endpoint_rows)
        self._seen_endpoints = frozenset(int(row["id"]) for row in rows)
        groups: tuple[GroupRow, ...] = ()
        if rows:
            self._user_id = int(rows[0]["user_id"])
            groups = self._settle(self._groups)
        else:
            self._seen_groups = set()
        return Actual(
            user_id=self._settle(self._user),
            templates=self._settle(self._templates),
            endpoints=tuple(EndpointRow.read(row) for row in rows),
            groups=groups,
            environment=self._settle(self._environment),
        )

    def workers(self, endpoint: EndpointRow) -> tuple[WorkerRow, ...]:
        """All workers of all groups of the endpoint; empty while the autoscaler doesn't know it yet."""
        return self.known_workers(endpoint) or ()

    def known_workers(self, endpoint: EndpointRow) -> tuple[WorkerRow, ...] | None:
        """As `workers`; None where the autoscaler doesn't know the endpoint."""
        rows = self._settle(lambda: self._session.ask_autoscaler("/get_endpoint_workers/", {"id": endpoint.id}))
        return tuple(WorkerRow.read(row) for row in rows) if isinstance(rows, list) else None

    def endpoint_logs(self, endpoint: EndpointRow, level: int = 1, tail: int | None = None) -> str:
        """`level` 0 to 3 as in Vast's CLI: info0, info1, trace, debug. `tail` is the number of lines."""
        return self._logs("/get_endpoint_logs/", endpoint.id, level, tail)

    def group_logs(self, group: GroupRow, level: int = 1, tail: int | None = None) -> str:
        """As `endpoint_logs`."""
        return self._logs("/get_autogroup_logs/", group.id, level, tail)

    def instances(self) -> tuple[Instance, ...]:
        """Every rented machine of the account."""
        asked: dict[str, Any] = {"select_filters": {}, "order_by": [{"col": "id", "dir": "asc"}], "limit": PAGE}
        found: list[Instance] = []
        while True:
            page = self._settle(lambda: instances.show_instances_v1(self._session, asked))
            found += map(Instance.read, page.get("instances") or ())
            if not page.get("next_token"):
                return tuple(found)
            asked["after_token"] = page["next_token"]

    def _logs(self, path: str, number: int, level: int, tail: int | None) -> str:
        body = {"id": number} if tail is None else {"id": number, "tail": tail}
        logs = self._settle(lambda: self._session.ask_autoscaler(path, body))
        lines = logs.get(LOG_LEVELS[level]) or "" if isinstance(logs, Mapping) else ""
        return "\n".join(map(str, lines)) if isinstance(lines, list) else str(lines)

    def _endpoint_rows(self) -> list[Row]:
        """As they come: Vast's own function takes the keys off. Oldest first."""
        asked = {"client_id": "me", "api_key": self._session.api_key}
        rows = self._session.get("/endptjobs/", json_data=asked).json()["results"]
        return sorted(rows, key=lambda row: int(row["id"]))

    def _groups(self) -> tuple[GroupRow, ...]:
        rows = endpoints.show_workergroups(self._session)
        groups = tuple(sorted(map(GroupRow.read, rows), key=lambda group: group.id))
        self._seen_groups = {group.id for group in groups}
        return groups

    def _templates(self) -> tuple[TemplateRow, ...]:
        """The account's own: others' public ones may have the same name."""
        owner = self._user()
        rows = offers.search_templates(self._session, {"creator_id": {"eq": owner}})
        own = (TemplateRow.read(row) for row in rows if row.get("creator_id") == owner)
        return tuple(sorted(own, key=lambda template: template.id))

    def _environment(self) -> frozenset[str]:
        return frozenset(name.upper() for name in auth.show_env_vars(self._session))

    def _user(self) -> int:
        if self._user_id is None:
            self._user_id = int(billing.show_user(self._session)["id"])
        return self._user_id

    def _settle(self, send: Callable[[], Answer], found: Callable[[], Answer | None] | None = None) -> Answer:
        """Send until there is an answer. After a failure that leaves open what happened, `found` looks first (T45)."""
        window = RetryWindow(self._limit_s, self._pause_s)
        unsure = False
        while True:
            try:
                there = found() if unsure and found else None
                if there is not None:
                    return there
                unsure = False
                return send()
            except (VastUnreachable, VastRateLimited) as trouble:
                unsure = unsure or isinstance(trouble, VastUnreachable)
                if not window.pause():
                    raise

    def _remove(self, send: Callable[[], object], there: Callable[[], bool]) -> None:
        """What isn't there any more is removed, whoever did it."""
        try:
            self._settle(send, lambda: None if there() else True)
        except VastRefused as error:
            if error.status != 404:
                raise
