"""One account at Vast, with all calls that change it. Each call is safe to repeat."""

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
    AccountState,
    EndpointRow,
    GroupRow,
    Instance,
    Row,
    TemplateRow,
    WorkerRow,
    known_fields,
)
from worker.fleet.vast.search import parse

__all__ = [
    "Account",
    "AccountState",
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

CLIENT_FIELDS = {"client_id": "me", "autoscaler_instance": "prod"}
"""Fields that Vast's own tools send with every endpoint and group."""


class Account(Console):
    """The calls that change an account. Every method raises DeployError.

    Bodies have to be complete, because Vast treats null and missing fields differently for each resource (T44). A field
    that is None is not sent; an empty text clears a text. Deleting something that no longer exists is not an error.
    """

    def set_environment(self, name: str, value: str) -> None:
        """Create or overwrite a variable that all containers of the account get. Vast stores names in upper case."""
        try:
            self._retry(lambda: auth.create_env_var(self._session, name.upper(), value))
        except VastRefused as error:
            if "existing_key" not in str(error):
                raise
            self._retry(lambda: auth.update_env_var(self._session, name.upper(), value))

    def remove_environment(self, name: str) -> None:
        """Delete a variable of the account."""
        self._remove(
            lambda: auth.delete_env_var(self._session, name.upper()), lambda: name.upper() in self._environment()
        )

    def save_template(self, body: Mapping[str, Any], old: TemplateRow | None) -> TemplateRow:
        """Create a template, or with `old` its next version, which gets a new hash. The old hash stays valid.

        Return the row of the saved template.
        """
        fields = known_fields(body, TEMPLATE_FIELDS)

        def send() -> TemplateRow:
            if old is None:
                response = self._session.post("/template/", json_data=_without_none(body))
            else:
                changed = _without_none(body, id=old.id, hash_id=old.hash)
                response = self._session.put("/api/v1/template/", json_data=changed)
            row = response.json()["template"]
            return TemplateRow(int(row["id"]), str(body["name"]), str(row["hash_id"]), fields)

        def find_saved() -> TemplateRow | None:
            candidates = [template for template in self._templates() if old is None or template.hash != old.hash]
            return next((template for template in candidates if fields.items() <= template.body.items()), None)

        return self._retry(send, find_saved)

    def delete_template(self, template: TemplateRow) -> None:
        """Delete a template. Groups that use it keep working."""
        self._remove(
            lambda: offers.delete_template(self._session, template_id=template.id),
            lambda: any(row.id == template.id for row in self._templates()),
        )

    def create_endpoint(self, body: Mapping[str, Any]) -> EndpointRow:
        """Create an endpoint and return its row, which a second call reads, because the first response has no key.

        After a failure whose effect is unknown, an endpoint of that name counts as created if it did not exist at the
        last `read`.
        """
        ids_before = self._endpoint_ids

        def send() -> int:
            all_fields = _without_none({**CLIENT_FIELDS, **body})
            return int(self._session.post("/endptjobs/", json_data=all_fields).json()["result"])

        def rows_with_name() -> list[Row]:
            return [row for row in self._endpoint_rows() if row["endpoint_name"] == body["endpoint_name"]]

        def find_created() -> int | None:
            return next((int(row["id"]) for row in rows_with_name() if int(row["id"]) not in ids_before), None)

        endpoint_id = self._retry(send, find_created)

        def read_back() -> EndpointRow:
            for row in rows_with_name():
                if row["id"] == endpoint_id:
                    return EndpointRow.read(row)
            raise VastUnreachable(f"endpoint {body['endpoint_name']} was created but is not listed")

        return self._retry(read_back)

    def update_endpoint(self, endpoint: EndpointRow, body: Mapping[str, Any]) -> EndpointRow:
        """Replace the parameters of an endpoint with `body`, but not its state. Return the new row."""
        return self._put_endpoint(endpoint, body, endpoint.state)

    def set_state(self, endpoint: EndpointRow, state: str) -> EndpointRow:
        """Set the state of an endpoint to `active`, `suspended` or `stopped`. Return the new row."""
        return self._put_endpoint(endpoint, endpoint.body, state)

    def delete_endpoint(self, endpoint: EndpointRow) -> None:
        """Delete an endpoint. Delete its groups before, because it is unknown whether Vast would delete them."""
        self._remove(
            lambda: endpoints.delete_endpoint(self._session, endpoint.id),
            lambda: any(row["id"] == endpoint.id for row in self._endpoint_rows()),
        )

    def create_group(self, endpoint: EndpointRow, body: Mapping[str, Any]) -> GroupRow:
        """Create a group in the endpoint and return its row.

        `body` has `template_hash` and `search_params`, a text that includes Vast's defaults. After a failure whose
        effect is unknown, a new group with this hash counts as created.
        """
        if self._group_ids is None:
            self._retry(self._groups)  # sets `_group_ids`
        ids_before = frozenset(self._group_ids or ())

        def send() -> GroupRow:
            all_fields = _without_none({**CLIENT_FIELDS, **body}, endpoint_id=endpoint.id)
            response = self._session.post("/autojobs/", json_data=all_fields).json()
            group_id = int(response["id"] if "id" in response else response["result"])
            return _sent_group(group_id, endpoint.id, body)

        def find_created() -> GroupRow | None:
            inside = (group for group in self._groups() if group.endpoint_id == endpoint.id)
            new = (group for group in inside if group.id not in ids_before)
            return next((group for group in new if group.template_hash == body["template_hash"]), None)

        group = self._retry(send, find_created)
        self._group_ids = {*ids_before, group.id}
        return group

    def update_group(self, group: GroupRow, body: Mapping[str, Any]) -> GroupRow:
        """Replace all fields of a group with `body`. Return the new row."""
        all_fields = _without_none({**CLIENT_FIELDS, **body}, autojob_id=group.id, endpoint_id=group.endpoint_id)
        self._retry(lambda: self._session.put(f"/autojobs/{group.id}/", json_data=all_fields))
        return _sent_group(group.id, group.endpoint_id, body)

    def delete_group(self, group: GroupRow) -> None:
        """Delete a group. Its instances may remain; `instances` lists them."""
        self._remove(
            lambda: endpoints.delete_workergroup(self._session, group.id),
            lambda: any(row.id == group.id for row in self._groups()),
        )

    def update_workers(self, group: GroupRow) -> None:
        """Make the group's workers switch to its present template, one after the other."""
        self._retry(lambda: self._session.call_autoscaler("/update_workers/", {"workergroup_id": group.id}))

    def destroy_instance(self, instance: Instance) -> None:
        """Delete an instance with everything on its disk."""
        self._remove(
            lambda: instances.destroy_instance(self._session, instance.id),
            lambda: any(row.id == instance.id for row in self.instances()),
        )

    def _put_endpoint(self, endpoint: EndpointRow, body: Mapping[str, Any], state: str) -> EndpointRow:
        """Send all fields and the state of an endpoint, and return its new row."""
        all_fields = _without_none({**CLIENT_FIELDS, **body}, endptjob_id=endpoint.id, endpoint_state=state)
        self._retry(lambda: self._session.put(f"/endptjobs/{endpoint.id}/", json_data=all_fields))
        name = str(body.get("endpoint_name", endpoint.name))
        return replace(endpoint, name=name, body=known_fields(body, ENDPOINT_FIELDS), state=state)


def _without_none(body: Mapping[str, Any], **more_fields: object) -> dict[str, Any]:
    """Return the fields of a request without those that are None."""
    return {name: value for name, value in {**body, **more_fields}.items() if value is not None}


def _sent_group(group_id: int, endpoint_id: int, body: Mapping[str, Any]) -> GroupRow:
    """Return the row of a group whose `body` was just sent."""
    search = parse(str(body.get("search_params", "")))
    return GroupRow(group_id, endpoint_id, str(body["template_hash"]), search, known_fields(body, GROUP_FIELDS))
