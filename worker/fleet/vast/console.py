"""The calls that read an account at Vast, and the retries that all calls share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from vastai.api import auth, billing, endpoints, instances, offers

from worker.errors import VastRateLimited, VastRefused, VastUnreachable
from worker.fleet.vast.offer_rows import LIMIT, QUERY, read_offers
from worker.fleet.vast.retry_window import FIRST_S, RetryWindow
from worker.fleet.vast.rows import AccountState, EndpointRow, GroupRow, Instance, Row, TemplateRow, WorkerRow
from worker.fleet.vast.session import Session
from worker.prices.offers import Offer

CONSOLE = "https://console.vast.ai"
AUTOSCALER = "https://run.vast.ai"
LOG_LEVELS = ("info0", "info1", "trace", "debug")
PAGE = 25

Result = TypeVar("Result")


class Console:
    """The calls that read an account. Every method raises DeployError.

    `timeout_s` limits one request. `limit_s` limits one step of a method with all its retries. `pause_s` is the first
    pause between two tries.
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
        """Without `autoscaler_url`, use Vast's autoscaler for Vast's console, and `server_url` for any other server."""
        server = server_url.rstrip("/")
        autoscaler = autoscaler_url or (AUTOSCALER if server == CONSOLE else server)
        self._session = Session(api_key, server, autoscaler.rstrip("/"), timeout_s)
        self._limit_s = limit_s
        self._pause_s = pause_s
        self._user_id: int | None = None
        self._endpoint_ids: frozenset[int] = frozenset()
        """Ids of the endpoints that existed at the last `read`."""
        self._group_ids: set[int] | None = None
        """Ids of the groups that existed when they were last listed, and of those created since."""

    @property
    def calls(self) -> int:
        """Number of HTTP requests so far."""
        return self._session.calls

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def read(self) -> AccountState:
        """Return all rows of the account that a fleet can consist of, with four calls.

        The user's id is read from an endpoint if there is one. Without endpoints, no groups are requested.
        """
        rows = self._retry(self._endpoint_rows)
        self._endpoint_ids = frozenset(int(row["id"]) for row in rows)
        groups: tuple[GroupRow, ...] = ()
        if rows:
            self._user_id = int(rows[0]["user_id"])
            groups = self._retry(self._groups)
        else:
            self._group_ids = set()
        return AccountState(
            user_id=self._retry(self._read_user_id),
            templates=self._retry(self._templates),
            endpoints=tuple(EndpointRow.read(row) for row in rows),
            groups=groups,
            environment=self._retry(self._environment),
        )

    def workers(self, endpoint: EndpointRow) -> tuple[WorkerRow, ...]:
        """Return the workers of all groups of the endpoint, or none while the autoscaler does not know it yet."""
        return self.known_workers(endpoint) or ()

    def known_workers(self, endpoint: EndpointRow) -> tuple[WorkerRow, ...] | None:
        """Return the workers of all groups of the endpoint, or None when the autoscaler does not know it."""
        rows = self._retry(lambda: self._session.call_autoscaler("/get_endpoint_workers/", {"id": endpoint.id}))
        return tuple(WorkerRow.read(row) for row in rows) if isinstance(rows, list) else None

    def endpoint_logs(self, endpoint: EndpointRow, level: int = 1, tail: int | None = None) -> str:
        """Return the autoscaler's log of an endpoint, or its last `tail` lines.

        `level` is 0 to 3 as in Vast's CLI: info0, info1, trace, debug.
        """
        return self._logs("/get_endpoint_logs/", endpoint.id, level, tail)

    def group_logs(self, group: GroupRow, level: int = 1, tail: int | None = None) -> str:
        """Return the autoscaler's log of a group, with `level` and `tail` as in `endpoint_logs`."""
        return self._logs("/get_autogroup_logs/", group.id, level, tail)

    def instances(self) -> tuple[Instance, ...]:
        """Return every rented machine of the account."""
        query: dict[str, Any] = {"select_filters": {}, "order_by": [{"col": "id", "dir": "asc"}], "limit": PAGE}
        rows: list[Instance] = []
        while True:
            page = self._retry(lambda: instances.show_instances_v1(self._session, query))
            rows += map(Instance.read, page.get("instances") or ())
            if not page.get("next_token"):
                return tuple(rows)
            query["after_token"] = page["next_token"]

    def offers(self) -> tuple[Offer, ...]:
        """Return the machines with one GPU that can be rented on demand now, the best ones by Vast's score first."""
        return read_offers(self._retry(lambda: offers.search_offers(self._session, dict(QUERY), limit=LIMIT)))

    def _logs(self, path: str, row_id: int, level: int, tail: int | None) -> str:
        """Return the lines of one level of the log of an endpoint or group, empty when there are none."""
        body = {"id": row_id} if tail is None else {"id": row_id, "tail": tail}
        logs = self._retry(lambda: self._session.call_autoscaler(path, body))
        lines = (logs.get(LOG_LEVELS[level]) or "") if isinstance(logs, Mapping) else ""
        return "\n".join(map(str, lines)) if isinstance(lines, list) else str(lines)

    def _endpoint_rows(self) -> list[Row]:
        """Return Vast's JSON of all endpoints, oldest first.

        Vast's own function is not used, because it removes the endpoints' keys.
        """
        body = {"client_id": "me", "api_key": self._session.api_key}
        rows = self._session.get("/endptjobs/", json_data=body).json()["results"]
        return sorted(rows, key=lambda row: int(row["id"]))

    def _groups(self) -> tuple[GroupRow, ...]:
        """Return all groups of the account, oldest first, and record their ids."""
        rows = endpoints.show_workergroups(self._session)
        groups = tuple(sorted(map(GroupRow.read, rows), key=lambda group: group.id))
        self._group_ids = {group.id for group in groups}
        return groups

    def _templates(self) -> tuple[TemplateRow, ...]:
        """Return the account's own templates. Public templates of other accounts may have the same name."""
        owner = self._read_user_id()
        rows = offers.search_templates(self._session, {"creator_id": {"eq": owner}})
        own = (TemplateRow.read(row) for row in rows if row.get("creator_id") == owner)
        return tuple(sorted(own, key=lambda template: template.id))

    def _environment(self) -> frozenset[str]:
        """Return the names of the account's variables in upper case."""
        return frozenset(name.upper() for name in auth.show_env_vars(self._session))

    def _read_user_id(self) -> int:
        """Return the id of the account's user, which is requested only once."""
        if self._user_id is None:
            self._user_id = int(billing.show_user(self._session)["id"])
        return self._user_id

    def _retry(self, send: Callable[[], Result], find: Callable[[], Result | None] | None = None) -> Result:
        """Call `send` until it succeeds or the time limit is over, and return its result.

        After a failure whose effect is unknown, `find` is called first. If it returns a result, the failed call took
        effect and is not sent again (T45). Raises the last error when the time limit is over, and at once an error
        that no retry can resolve.
        """
        window = RetryWindow(self._limit_s, self._pause_s)
        may_have_worked = False
        while True:
            try:
                result = find() if may_have_worked and find else None
                if result is not None:
                    return result
                may_have_worked = False
                return send()
            except (VastUnreachable, VastRateLimited) as error:
                may_have_worked = may_have_worked or isinstance(error, VastUnreachable)
                if not window.pause():
                    raise

    def _remove(self, send: Callable[[], object], exists: Callable[[], bool]) -> None:
        """Delete something by calling `send`. It is no error if it is already gone.

        `exists` returns whether it is still there.
        """
        try:
            # After a call without a response, `_retry` asks `find` whether the call took effect. None means no.
            self._retry(send, find=lambda: None if exists() else True)
        except VastRefused as error:
            if error.status != 404:
                raise
