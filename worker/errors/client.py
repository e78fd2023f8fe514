"""Requests that the client has to change."""

from __future__ import annotations

from worker.errors.tree import Fault, WorkerError


class ClientError(WorkerError):
    fault = Fault.CLIENT
    status = 400
    code = "bad_request"


class InvalidJson(ClientError):
    code = "invalid_json"


class UnknownField(ClientError):
    code = "unknown_field"


class InvalidField(ClientError):
    code = "invalid_field"


class InvalidInputFile(ClientError):
    code = "invalid_input_file"


class Unauthorized(ClientError):
    """The request carries none of the operator's tokens."""

    code = "unauthorized"
    status = 401


class BadSignature(ClientError):
    """The request didn't come from Vast's router, or was meant for another worker."""

    code = "bad_signature"
    status = 401


class Forbidden(ClientError):
    """A route that this worker does not serve to this caller."""

    code = "forbidden"
    status = 403


class HostNotAllowed(ClientError):
    """The request names a host that is not known to be this worker's: its DNS may be in other hands."""

    code = "host_not_allowed"
    status = 403


class OriginNotAllowed(ClientError):
    """A browser sent the request for a page of another origin."""

    code = "origin_not_allowed"
    status = 403


class NotFound(ClientError):
    """The thing does not exist, or belongs to another caller: the two must look the same."""

    code = "not_found"
    status = 404


class MethodNotAllowed(ClientError):
    code = "method_not_allowed"
    status = 405


class NotAcceptable(ClientError):
    """The job has no output of a type that the request accepts. Each detail names an output and its type."""

    code = "not_acceptable"
    status = 406


class IdTaken(ClientError):
    code = "id_taken"
    status = 409


class RequestTimeout(ClientError):
    """The request did not arrive in time. The same one may, over a better connection."""

    code = "request_timeout"
    status = 408
    retryable = True


class UnsupportedEncoding(ClientError):
    """The body is compressed where it must not be."""

    code = "unsupported_encoding"
    status = 415


class BodyTooLarge(ClientError):
    code = "body_too_large"
    status = 413


class InvalidWorkflow(ClientError):
    """The workflow can't run anywhere as it is written."""

    code = "invalid_workflow"
    status = 422


class CannotConvert(ClientError):
    """A workflow in the editor's format that can't be converted to a prompt without the editor, or at all."""

    code = "cannot_convert"
    status = 422


class InvalidParams(ClientError):
    """The values do not fit the template. Each detail names a parameter and a value that fits."""

    code = "invalid_params"
    status = 422


class UnknownTemplate(ClientError):
    """This worker has no template of that name."""

    code = "unknown_template"
    status = 404


class UrlNeedsStorage(ClientError):
    """`output_format: url` where clients can't open the worker's URLs."""

    code = "url_needs_storage"
    status = 422


class TargetNotAllowed(ClientError):
    """The request names a place for its outputs, or a webhook URL, that the operator does not allow."""

    code = "target_not_allowed"
    status = 422


class NothingToDeliver(ClientError):
    """The job has no result that waits to be delivered again."""

    code = "nothing_to_deliver"
    status = 409


class DeliveryRefused(ClientError):
    """The place that the request named rejects the files: wrong keys, no such bucket. The result is kept."""

    code = "delivery_refused"
    status = 422
