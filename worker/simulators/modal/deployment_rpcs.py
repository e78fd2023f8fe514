"""RPCs of `modal deploy`: apps, functions and classes."""

from __future__ import annotations

import re
import time

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from worker.simulators.modal.handles import app_layout, function_data, function_handle
from worker.simulators.modal.object_rpcs import ObjectRpcs
from worker.simulators.modal.records import AppRecord, FunctionRecord


class DeploymentRpcs(ObjectRpcs):
    """Deploys apps. A definition is staged until its app is published, so a failed deployment changes nothing."""

    async def app_get_by_deployment_name(
        self, request: api_pb2.AppGetByDeploymentNameRequest
    ) -> api_pb2.AppGetByDeploymentNameResponse:
        """Return the id of a published app, empty if there is none of the name."""
        app = self.state.app_named(request.name)
        return api_pb2.AppGetByDeploymentNameResponse(app_id=app.id if app else "", environment_name="main")

    async def app_create(self, request: api_pb2.AppCreateRequest) -> api_pb2.AppCreateResponse:
        """Create an app that is not yet published."""
        app = AppRecord(self.state.new_id("ap"), request.description)
        self.state.apps[app.id] = app
        return api_pb2.AppCreateResponse(app_id=app.id, app_page_url=f"http://modal.invalid/{app.id}")

    async def app_get_layout(self, request: api_pb2.AppGetLayoutRequest) -> api_pb2.AppGetLayoutResponse:
        """Return the functions and classes of an app, whose ids a new deployment keeps."""
        return api_pb2.AppGetLayoutResponse(app_layout=app_layout(self.state, self._app(request.app_id)))

    async def app_heartbeat(self, _: api_pb2.AppHeartbeatRequest) -> Empty:
        """Accept the heartbeat of a client."""
        return Empty()

    async def app_client_disconnect(self, _: api_pb2.AppClientDisconnectRequest) -> Empty:
        """Accept the end of a client after an error."""
        return Empty()

    async def function_precreate(self, request: api_pb2.FunctionPrecreateRequest) -> api_pb2.FunctionPrecreateResponse:
        """Give a function its id, before its definition is known."""
        app = self._app(request.app_id)
        function_id = request.existing_function_id or self.state.new_id("fu")
        definition = api_pb2.Function(
            function_name=request.function_name,
            function_type=request.function_type,
            webhook_config=request.webhook_config,
            method_definitions=request.method_definitions,
        )
        handle = await self._handle(function_id, app, definition)
        if function_id not in self.state.functions:
            self.state.functions[function_id] = FunctionRecord(function_id, request.function_name, app, handle)
        return api_pb2.FunctionPrecreateResponse(function_id=function_id, handle_metadata=handle)

    async def function_create(self, request: api_pb2.FunctionCreateRequest) -> api_pb2.FunctionCreateResponse:
        """Stage the definition of a function. Of a list of GPUs, the first one counts."""
        app = self._app(request.app_id)
        definition = api_pb2.Function()
        ranked = request.function_data.ranked_functions
        definition.CopyFrom(ranked[0].function if ranked else request.function)
        function_id = request.existing_function_id or self.state.new_id("fu")
        handle = await self._handle(function_id, app, definition)
        function = self.state.functions.get(function_id)
        if function is None:
            function = FunctionRecord(function_id, definition.function_name, app, handle)
            self.state.functions[function_id] = function
        function.staged, function.handle = definition, handle
        return api_pb2.FunctionCreateResponse(
            function_id=function_id,
            function=definition,
            function_data=function_data(definition),
            handle_metadata=handle,
        )

    async def class_create(self, request: api_pb2.ClassCreateRequest) -> api_pb2.ClassCreateResponse:
        """Give a class its id. Its methods belong to its function."""
        class_id = request.existing_class_id or self.state.new_id("cs")
        return api_pb2.ClassCreateResponse(class_id=class_id, handle_metadata=api_pb2.ClassHandleMetadata())

    async def app_publish(self, request: api_pb2.AppPublishRequest) -> api_pb2.AppPublishResponse:
        """Make the staged definitions current."""
        app = self._app(request.app_id)
        app.name = request.name or app.name
        app.functions, app.classes = dict(request.function_ids), dict(request.class_ids)
        for function_id in app.functions.values():
            function = self.state.functions[function_id]
            if function.staged is not None:
                function.definition, function.staged = function.staged, None
        app.version += 1
        self.parts.on_publish(app)
        self.state.changes.notify()
        return api_pb2.AppPublishResponse(url=f"http://modal.invalid/{app.id}", deployed_at=time.time())

    async def class_get(self, request: api_pb2.ClassGetRequest) -> api_pb2.ClassGetResponse:
        """Return a class by the names of the app and the class."""
        app = self.state.app_named(request.app_name)
        if app is None or request.object_tag not in app.classes:
            raise GRPCError(Status.NOT_FOUND, f"no class {request.object_tag!r} in an app {request.app_name!r}")
        metadata = api_pb2.ClassHandleMetadata()
        return api_pb2.ClassGetResponse(class_id=app.classes[request.object_tag], handle_metadata=metadata)

    async def function_get(self, request: api_pb2.FunctionGetRequest) -> api_pb2.FunctionGetResponse:
        """Return a function by the name of the app and its tag."""
        app = self.state.app_named(request.app_name)
        function = self.state.function_of(app, request.object_tag) if app else None
        if function is None:
            raise GRPCError(Status.NOT_FOUND, f"no function {request.object_tag!r} in an app {request.app_name!r}")
        return api_pb2.FunctionGetResponse(
            function_id=function.id, handle_metadata=function.handle, function=function_data(function.current)
        )

    def _app(self, app_id: str) -> AppRecord:
        """Return an app. Raises GRPCError when it does not exist."""
        app = self.state.apps.get(app_id)
        if app is None:
            raise GRPCError(Status.NOT_FOUND, f"no app {app_id!r}")
        return app

    async def _handle(
        self, function_id: str, app: AppRecord, definition: api_pb2.Function
    ) -> api_pb2.FunctionHandleMetadata:
        """Write the URLs of web functions into a definition, and return its handle."""
        service = definition.function_name.removesuffix(".*")
        if definition.webhook_config.type:
            definition.web_url = await self.parts.web_url(_label(app.name, service), function_id, "")
        for name, method in definition.method_definitions.items():
            if method.webhook_config.type:
                method.web_url = await self.parts.web_url(_label(app.name, service, name), function_id, name)
        return function_handle(function_id, app.id, definition)


def _label(*parts: str) -> str:
    """Return the label of a web function: `app-class-method`, in lower case and with dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower())
