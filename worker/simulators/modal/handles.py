"""Metadata that clients and containers get about functions and classes."""

from __future__ import annotations

from modal_proto import api_pb2

from worker.simulators.modal.records import AppRecord, ControlPlaneState, FunctionRecord

IMAGE_BUILDER_VERSION = "2026.10"


def method_handle(
    name: str, method: api_pb2.MethodDefinition, app_id: str, service: str
) -> api_pb2.FunctionHandleMetadata:
    """Return the handle of a method. `service` is the tag of the class without `.*`."""
    return api_pb2.FunctionHandleMetadata(
        app_id=app_id,
        function_name=f"{service}.{name}",
        function_type=method.function_type,
        function_schema=method.function_schema,
        is_method=True,
        use_method_name=name,
        web_url=method.web_url,
        supported_input_formats=method.supported_input_formats,
        supported_output_formats=method.supported_output_formats,
    )


def function_handle(function_id: str, app_id: str, definition: api_pb2.Function) -> api_pb2.FunctionHandleMetadata:
    """Return the handle of a function, or of a class with its methods."""
    handle = api_pb2.FunctionHandleMetadata(
        app_id=app_id,
        function_name=definition.function_name,
        function_type=definition.function_type,
        function_schema=definition.function_schema,
        definition_id=f"de-{function_id[3:]}",
        class_parameter_info=definition.class_parameter_info,
        web_url=definition.web_url,
        supported_input_formats=definition.supported_input_formats,
        supported_output_formats=definition.supported_output_formats,
    )
    service = definition.function_name.removesuffix(".*")
    for name, method in definition.method_definitions.items():
        handle.method_handle_metadata[name].CopyFrom(method_handle(name, method, app_id, service))
    return handle


def function_data(definition: api_pb2.Function) -> api_pb2.FunctionData:
    """Return the data of a function with its one definition, for clients."""
    return api_pb2.FunctionData(
        module_name=definition.module_name,
        function_name=definition.function_name,
        function_type=definition.function_type,
        is_class=definition.is_class,
        method_definitions=definition.method_definitions,
        web_url=definition.web_url,
        webhook_config=definition.webhook_config,
        timeout_secs=definition.timeout_secs,
        ranked_functions=[api_pb2.FunctionData.RankedFunction(rank=0, function=definition)],
    )


def app_layout(state: ControlPlaneState, app: AppRecord) -> api_pb2.AppLayout:
    """Return the layout of an app: its functions and classes, and every object that one of them depends on."""
    layout = api_pb2.AppLayout(function_ids=app.functions, class_ids=app.classes)
    seen: set[str] = set()
    for function_id in app.functions.values():
        function = state.functions[function_id]
        layout.objects.append(api_pb2.Object(object_id=function.id, function_handle_metadata=function.handle))
        seen |= _dependencies(function)
    for class_id in app.classes.values():
        layout.objects.append(api_pb2.Object(object_id=class_id, class_handle_metadata=api_pb2.ClassHandleMetadata()))
    layout.objects.extend(api_pb2.Object(object_id=object_id) for object_id in sorted(seen - {*app.functions.values()}))
    return layout


def _dependencies(function: FunctionRecord) -> set[str]:
    """Return the ids of the objects that a function needs."""
    definition = function.staged or function.definition
    return {entry.object_id for entry in definition.object_dependencies} if definition else set()
