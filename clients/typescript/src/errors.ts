import type { components } from "./generated/api.js";

type ErrorFields = components["schemas"]["Error"]["error"];

/** One problem: its node and input, and what to do. */
export type Detail = components["schemas"]["Detail"];

/** What a ComfyError is made from. */
export interface ErrorInit {
  code: string;
  message: string;
  status: number;
  fault: ErrorFields["fault"];
  retryable: boolean;
  retryableElsewhere?: boolean;
  details?: Detail[];
  jobId?: string | undefined;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/**
 * A request or a job that failed. `code` is the worker's, such as `invalid_workflow` or `queue_full`.
 *
 * The client adds two codes: `connection_failed` (no response, or not all of it) and `bad_response` (a response that a
 * worker does not send, for example the page of a proxy).
 */
export class ComfyError extends Error {
  override readonly name = "ComfyError";
  readonly code: string;
  /** HTTP status, 0 without a response, and for a job whose events are followed. */
  readonly status: number;
  /** The party that has to act. */
  readonly fault: ErrorFields["fault"];
  /** Whether the same request can be sent again to this worker. */
  readonly retryable: boolean;
  /** Whether another worker could succeed. */
  readonly retryableElsewhere: boolean;
  /** All problems, each with its node and input. */
  readonly details: Detail[];
  /** Id of the job that failed. It is undefined if the request failed before there was a job. */
  readonly jobId: string | undefined;
  /** Milliseconds after which the worker takes the request again, if it said so. */
  readonly retryAfterMs: number | undefined;

  constructor(init: ErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.status = init.status;
    this.fault = init.fault;
    this.retryable = init.retryable;
    this.retryableElsewhere = init.retryableElsewhere ?? false;
    this.details = init.details ?? [];
    this.jobId = init.jobId;
    this.retryAfterMs = init.retryAfterMs;
  }
}

/** Return the error for a request without a complete response. `where` is its method and URL. */
export function connectionFailed(where: string, cause: unknown): ComfyError {
  return new ComfyError({
    code: "connection_failed",
    message: `${where}: ${reasonOf(cause)}`,
    status: 0,
    fault: "worker",
    retryable: true,
    retryableElsewhere: true,
    cause,
  });
}

/** Return the error for a response that is not a worker's. `text` is its body. */
export function badResponse(where: string, status: number, contentType: string, text: string): ComfyError {
  const start = text.trim().slice(0, 200);
  return new ComfyError({
    code: "bad_response",
    message:
      `${where}: the response has status ${status} and the type ${contentType || "(none)"}, and is no JSON of a ` +
      `worker. Check that baseUrl is the URL of a worker${start ? `. It begins: ${start}` : ""}`,
    status,
    fault: status >= 400 && status < 500 && status !== 429 ? "client" : "worker",
    retryable: [429, 502, 503, 504].includes(status),
  });
}

/** Return the error in the body of a response, or undefined if the body is not a worker's. */
export function errorIn(body: unknown, status: number, retryAfterMs?: number): ComfyError | undefined {
  if (!isObject(body)) return undefined;
  const fields = [
    body["error"],
    body["error_info"],
    isObject(body["output"]) ? body["output"]["error_info"] : undefined,
  ].find(isObject);
  const { code, message } = fields ?? {};
  if (!fields || typeof code !== "string" || typeof message !== "string") return undefined;
  return new ComfyError({
    code,
    message,
    status,
    fault: (fields["fault"] as ErrorFields["fault"] | undefined) ?? "worker",
    retryable: fields["retryable"] === true,
    retryableElsewhere: fields["retryable_elsewhere"] === true,
    details: Array.isArray(fields["details"]) ? (fields["details"] as Detail[]) : [],
    jobId: typeof body["id"] === "string" ? body["id"] : undefined,
    retryAfterMs,
  });
}

/** Return whether a value is an object with fields. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Return the reason of a failed connection. `fetch` of Node has it in the cause of its error. */
function reasonOf(error: unknown): string {
  const inner = isObject(error) && isObject(error["cause"]) ? error["cause"] : error;
  const { message, code } = (inner ?? {}) as { message?: string; code?: string };
  return `the connection failed: ${message || code || String(inner)}`;
}
