"""Errors that the client can avoid by changing the request."""

from __future__ import annotations

from worker.errors.tree import Fault, WorkerError


class ClientError(WorkerError):
    """The request is malformed in a way that has no code of its own. Change the request as the message says."""

    fault = Fault.CLIENT
    status = 400
    code = "bad_request"


class InvalidJson(ClientError):
    """The body, or a text in it that has to be JSON, is not valid JSON.

    Correct it at the line and column in the message.
    """

    code = "invalid_json"


class UnknownField(ClientError):
    """The native request has fields that do not exist. Each detail names the field and the nearest known one."""

    code = "unknown_field"


class InvalidField(ClientError):
    """A field has a value that is not allowed, or two fields contradict each other. Each detail names the field."""

    code = "invalid_field"


class InvalidInputFile(ClientError):
    """An input file is damaged, of the wrong kind or too large to decode.

    Send another file for the input in the details.
    """

    code = "invalid_input_file"


class Unauthorized(ClientError):
    """The request has no valid token in `Authorization: Bearer`. Send one of the operator's tokens."""

    code = "unauthorized"
    status = 401


class BadSignature(ClientError):
    """The request was not signed by Vast's router, or was signed for another worker. Send it through the router."""

    code = "bad_signature"
    status = 401


class Forbidden(ClientError):
    """The worker does not serve this route to this caller. Ask the operator, or use the route in the message."""

    code = "forbidden"
    status = 403


class HostNotAllowed(ClientError):
    """The worker has no tokens, and the request names a host that is not known to be this worker's.

    The name may be in the DNS of an attacker. Use localhost or the address of the worker, or add the host to
    WORKER_ALLOWED_HOSTS.
    """

    code = "host_not_allowed"
    status = 403


class OriginNotAllowed(ClientError):
    """The worker has no tokens, and a browser sent the request for a page of another origin.

    Add the origin of the page to WORKER_CORS_ORIGINS, or set WORKER_TOKENS and send a token.
    """

    code = "origin_not_allowed"
    status = 403


class NotFound(ClientError):
    """The route, job or output does not exist, or belongs to another caller. The two cases look the same on purpose.

    Check the id and the token. Results are deleted after WORKER_RESULT_TTL.
    """

    code = "not_found"
    status = 404


class MethodNotAllowed(ClientError):
    """The route exists, but not with this HTTP method. Use a method that the message names."""

    code = "method_not_allowed"
    status = 405


class NotAcceptable(ClientError):
    """No output has a type that the header `Accept` names.

    Each detail names an output and its type. The result is kept.
    """

    code = "not_acceptable"
    status = 406


class IdTaken(ClientError):
    """The `id` or `Idempotency-Key` belongs to an earlier request with another body. Use a new id."""

    code = "id_taken"
    status = 409


class RequestTimeout(ClientError):
    """The body of the request did not arrive in time. Send the same request again over a faster connection."""

    code = "request_timeout"
    status = 408
    retryable = True


class UnsupportedEncoding(ClientError):
    """The body is compressed. Send it without `Content-Encoding`."""

    code = "unsupported_encoding"
    status = 415


class BodyTooLarge(ClientError):
    """The body, or a part of it, exceeds a limit that the message names.

    Send files by URL or as multipart/form-data.
    """

    code = "body_too_large"
    status = 413


class InvalidWorkflow(ClientError):
    """The workflow is wrong as it is written. Each detail names the node and the input, and what is expected there."""

    code = "invalid_workflow"
    status = 422


class CannotConvert(ClientError):
    """A workflow in the editor's format cannot be converted to a prompt. Export it from ComfyUI with *Export (API)*."""

    code = "cannot_convert"
    status = 422


class InvalidParams(ClientError):
    """Parameters do not fit the template. Each detail names the parameter and a value that fits."""

    code = "invalid_params"
    status = 422


class UnknownTemplate(ClientError):
    """This worker has no template of that name. `GET /templates` lists those that exist."""

    code = "unknown_template"
    status = 404


class UrlNeedsStorage(ClientError):
    """The request has `output_format: url`, and clients cannot open the URLs of this worker.

    Request base64, name a bucket of your own, or ask the operator to set WORKER_S3_BUCKET.
    """

    code = "url_needs_storage"
    status = 422


class TargetNotAllowed(ClientError):
    """The operator does not allow the bucket or webhook URL in the request. Use another one."""

    code = "target_not_allowed"
    status = 422


class NothingToDeliver(ClientError):
    """The job has no result that waits for another delivery. `GET /jobs/{id}` shows its state."""

    code = "nothing_to_deliver"
    status = 409


class DeliveryRefused(ClientError):
    """The bucket that the request named rejected the files, for example because of wrong keys or a missing bucket.

    The result is kept. Correct the target and send it to `POST /jobs/{id}/deliver`.
    """

    code = "delivery_refused"
    status = 422
