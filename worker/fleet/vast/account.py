"""One account at Vast: what is in it, and the changes that can be made, each safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vastai.api import auth, endpoints, instances, offers

from worker.errors import DeployError, VastKeyRefused, VastRateLimited, VastRefused, VastUnreachable
from worker.fleet.vast.console import Console
from worker.fleet.vast.rows import (
    ENDPOINT_FIELDS,
    GROUP_FIELDS,
    TEMPLATE_FIELDS,
    Actual,
    EndpointRow,
    GroupRow,
    Instance,
    Row,
    TemplateRow,
    WorkerRow,
    kept,
)
from worker.fleet.vast.search import parse

__all__ = [
    "Account",
    "Actual",
    "DeployError",
    "EndpointRow",
    "GroupRow",
    "Instance",
    "TemplateRow",
    "VastKeyRefused",
    "VastRateLimited",
    "VastRefused",
    "VastUnreachable",
    "WorkerRow",
]

MINE = {"client_id": "me", "autoscaler_instance": "prod"}
"""What Vast's own tools send with every endpoint and group."""


class Account(Console):
    """Bodies have to be complete: what Vast does with a field that is null or missing differs from one resource to the
    next (T44). One that is None is left out; to clear a text, send an empty one.

    What is removed may be gone already: that is no error.
    """

    def set_environment(self, name: str, value: str) -> None:
        """Make or overwrite a variable that all containers of the account get. Names are upper case at Vast."""
        try:
            self._settle(lambda: auth.create_env_var(self._session, name.upper(), value))
        except VastRefused as error:
            if "existing_key" not in str(error):
                raise
            self._settle(lambda: auth.update_env_var(self._session, name.upper(), value))

    def remove_environment(self, name: str) -> None:
        self._remove(
            lambda: auth.delete_env_var(self._session, name.upper()), lambda: name.upper() in self._environment()
        )

    def save_template(self, body: Mapping[str, Any], old: TemplateRow | None) -> TemplateRow:
        """A new template, or with `old` its next version: the hash is another, and the old one stays valid."""
        shown = kept(body, TEMPLATE_FIELDS)

        def send() -> TemplateRow:
            if old is None:
                answer = self._session.post("/template/", json_data=_whole(body))
            else:
                answer = self._session.put("/api/v1/template/", json_data=_whole(body, id=old.id, hash_id=old.hash))
            row = answer.json()["template"]
            return TemplateRow(int(row["id"]), str(body["name"]), str(row["hash_id"]), shown)

        def found() -> TemplateRow | None:
            new = [one for one in self._templates() if old is None or one.hash != old.hash]
            return next((one for one in new if shown.items() <= one.body.items()), None)

        return self._settle(send, found)

    def delete_template(self, template: TemplateRow) -> None:
        self._remove(
            lambda: offers.delete_template(self._session, template_id=template.id),
            lambda: any(one.id == template.id for one in self._templates()),
        )

    def create_endpoint(self, body: Mapping[str, Any]) -> EndpointRow:
        """Two calls: the answer holds no key. After a failure that left it open what happened, an endpoint of that name
        counts as the one that was made if it was not there at the last `read`."""
        before = self._seen_endpoints

        def send() -> int:
            return int(self._session.post("/endptjobs/", json_data=_whole({**MINE, **body})).json()["result"])

        def named() -> list[Row]:
            return [row for row in self._endpoint_rows() if row["endpoint_name"] == body["endpoint_name"]]

        def made() -> int | None:
            return next((int(row["id"]) for row in named() if int(row["id"]) not in before), None)

        number = self._settle(send, made)

        def listed() -> EndpointRow:
            for row in named():
                if row["id"] == number:
                    return EndpointRow.read(row)
            raise VastUnreachable(f"endpoint {body['endpoint_name']} was made and isn't listed")

        return self._settle(listed)

    def update_endpoint(self, endpoint: EndpointRow, body: Mapping[str, Any]) -> EndpointRow:
        """`body` replaces the whole; the state stays."""
        return self._put_endpoint(endpoint, body, endpoint.state)

    def set_state(self, endpoint: EndpointRow, state: str) -> EndpointRow:
        """`active`, `suspended` or `stopped`."""
        return self._put_endpoint(endpoint, endpoint.body, state)

    def delete_endpoint(self, endpoint: EndpointRow) -> None:
        """Its groups have to go first; whether Vast would remove them is unknown."""
        self._remove(
            lambda: endpoints.delete_endpoint(self._session, endpoint.id),
            lambda: any(row["id"] == endpoint.id for row in self._endpoint_rows()),
        )

    def create_group(self, endpoint: EndpointRow, body: Mapping[str, Any]) -> GroupRow:
        """`body` has `template_hash` and `search_params` (text, defaults written out); `endpoint_id` is added."""
        if self._seen_groups is None:
            self._settle(self._groups)
        before = frozenset(self._seen_groups or ())

        def send() -> GroupRow:
            answer = self._session.post(
                "/autojobs/", json_data=_whole({**MINE, **body}, endpoint_id=endpoint.id)
            ).json()
            return _group(int(answer["id"] if "id" in answer else answer["result"]), endpoint.id, body)

        def found() -> GroupRow | None:
            new = (group for group in self._groups() if group.endpoint_id == endpoint.id and group.id not in before)
            return next((group for group in new if group.template_hash == body["template_hash"]), None)

        group = self._settle(send, found)
        self._seen_groups = {*before, group.id}
        return group

    def update_group(self, group: GroupRow, body: Mapping[str, Any]) -> GroupRow:
        """`body` replaces the whole."""
        whole = _whole({**MINE, **body}, autojob_id=group.id, endpoint_id=group.endpoint_id)
        self._settle(lambda: self._session.put(f"/autojobs/{group.id}/", json_data=whole))
        return _group(group.id, group.endpoint_id, body)

    def delete_group(self, group: GroupRow) -> None:
        """Its instances may stay: see `instances`."""
        self._remove(
            lambda: endpoints.delete_workergroup(self._session, group.id),
            lambda: any(one.id == group.id for one in self._groups()),
        )

    def update_workers(self, group: GroupRow) -> None:
        """Let the group's workers go over to its present template, one after the other."""
        self._settle(lambda: self._session.ask_autoscaler("/update_workers/", {"workergroup_id": group.id}))

    def destroy_instance(self, instance: Instance) -> None:
        self._remove(
            lambda: instances.destroy_instance(self._session, instance.id),
            lambda: any(one.id == instance.id for one in self.instances()),
        )

    def _put_endpoint(self, endpoint: EndpointRow, body: Mapping[str, Any], state: str) -> EndpointRow:
        whole = _whole({**MINE, **body}, endptjob_id=endpoint.id, endpoint_state=state)
        self._settle(lambda: self._session.put(f"/endptjobs/{endpoint.id}/", json_data=whole))
        name = str(body.get("endpoint_name", endpoint.name))
        return replace(endpoint, name=name, body=kept(body, ENDPOINT_FIELDS), state=state)


def _whole(body: Mapping[str, Any], **more: object) -> dict[str, Any]:
    return {name: value for name, value in {**body, **more}.items() if value is not None}


def _group(number: int, endpoint_id: int, body: Mapping[str, Any]) -> GroupRow:
    """A group as it was just sent."""
    search = parse(str(body.get("search_params", "")))
    return GroupRow(number, endpoint_id, str(body["template_hash"]), search, kept(body, GROUP_FIELDS))
