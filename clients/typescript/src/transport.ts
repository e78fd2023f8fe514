import { badResponse, ComfyError, connectionFailed, errorIn, isObject } from "./errors.js";

/** Options of a connection to a worker. */
export interface TransportOptions {
  /** URL of a worker or of a proxy in front of it, such as `http://127.0.0.1:18288`. It can have a path. */
  baseUrl: string | URL;
  /** One of the worker's tokens, or a function that returns it. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Replacement of the global `fetch`. */
  fetch?: typeof fetch | undefined;
  /** Headers of every request. With `Authorization` here, tokens are sent in `X-Worker-Token`. */
  headers?: Record<string, string> | undefined;
  /** Milliseconds for which a failed request is repeated. The default is 30,000, and 0 turns repetition off. */
  retryMs?: number | undefined;
  /** The same for requests about a job that the worker has accepted. The default is 300,000. */
  outageMs?: number | undefined;
  /** Milliseconds without a byte of the response after which a connection counts as lost. The default is 60,000. */
  stallMs?: number | undefined;
}

/** A request. `token` is the token of a job, which takes precedence over that of the client. */
export interface Call {
  method: "GET" | "POST" | "DELETE";
  path: string;
  headers?: Record<string, string>;
  body?: string | FormData | undefined;
  /** Bytes of the body, which lengthen the time until the response has to begin. */
  size?: number | undefined;
  token?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Milliseconds for which the worker may hold the response back. */
  holdMs?: number;
  /** Milliseconds for which the request is repeated, instead of those of the client. */
  retryMs?: number | undefined;
  /** Whether the request may be repeated although the worker may have received it. The default is true. */
  repeatable?: boolean;
  /** Id of the job that the request is about. Its own error is a result, after which nothing is repeated. */
  jobId?: string;
}

/** A complete response with a status below 400. */
export interface Answer {
  status: number;
  contentType: string;
  bytes: Uint8Array;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
const SLOWEST_BYTES_PER_MS = 64;
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH"]);

/** Sends requests to a worker, and repeats those that failed for a reason that passes. */
export class Transport {
  readonly baseUrl: string;
  readonly outageMs: number;
  readonly hasToken: boolean;
  readonly #retryMs: number;
  readonly #token: TransportOptions["token"];
  readonly #fetch: typeof fetch;
  readonly #headers: Record<string, string>;
  readonly #stallMs: number;

  constructor(options: TransportOptions) {
    this.baseUrl = checkedUrl(options.baseUrl);
    this.#retryMs = options.retryMs ?? 30_000;
    this.outageMs = options.outageMs ?? 300_000;
    this.hasToken = Boolean(options.token);
    this.#token = options.token;
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#headers = options.headers ?? {};
    this.#stallMs = options.stallMs ?? 60_000;
    if (typeof this.#fetch !== "function") throw new TypeError("fetch must be a function");
  }

  /** Send a request and return the complete response. Throws ComfyError, or the reason of an aborted signal. */
  read(call: Call): Promise<Answer> {
    return this.#repeat(call, async (response, guard, where) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of chunksOf(response, guard, where)) chunks.push(chunk);
      const contentType = response.headers.get("content-type") ?? "";
      return {
        status: response.status,
        contentType: contentType.split(";")[0]!.trim().toLowerCase(),
        bytes: joined(chunks),
      };
    });
  }

  /** Send a request and return the JSON value of the response. Throws ComfyError. */
  async json<T>(call: Call): Promise<T> {
    const answer = await this.read(call);
    return jsonOf(answer, `${call.method} ${this.url(call.path)}`) as T;
  }

  /** Send a request and return the response as a stream of bytes. Throws ComfyError. */
  stream(call: Call): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
    return this.#repeat(call, async (response, guard, where) => {
      const contentType = response.headers.get("content-type") ?? "";
      if (contentType.startsWith("text/event-stream")) return chunksOf(response, guard, where);
      guard.end();
      throw badResponse(where, response.status, contentType, "");
    });
  }

  /** Return the URL of a path, which can be a complete URL. */
  url(path: string): string {
    return /^https?:/i.test(path) ? path : this.baseUrl + path;
  }

  /** Send a request until `consume` has returned something, or an error occurs that is not repeated. */
  async #repeat<T>(call: Call, consume: (response: Response, guard: Guard, where: string) => Promise<T>): Promise<T> {
    const url = this.url(call.path);
    const where = `${call.method} ${url.split("?")[0]}`;
    const end = Date.now() + (call.retryMs ?? this.#retryMs);
    for (let attempt = 0; ; attempt++) {
      const { method, body } = call;
      const headers = await this.#headersOf(call, url);
      call.signal?.throwIfAborted();
      const guard = new Guard(
        this.#stallMs + (call.holdMs ?? 0) + (call.size ?? 0) / SLOWEST_BYTES_PER_MS,
        this.#stallMs,
        call.signal,
      );
      let failure: ComfyError;
      try {
        const response = await this.#fetch(url, {
          method,
          headers,
          signal: guard.signal,
          ...(body === undefined ? {} : { body }),
        });
        if (response.ok) return await consume(response, guard, where);
        failure = await errorOf(response, guard, where);
      } catch (error) {
        guard.end();
        call.signal?.throwIfAborted();
        failure =
          error instanceof ComfyError
            ? error
            : connectionFailed(where, guard.stalled ? new Error(guard.reason) : error);
      }
      const pauseMs = pauseBefore(attempt, failure);
      if (!isRepeated(failure, call) || Date.now() + pauseMs > end) throw failure;
      await pause(pauseMs, call.signal);
    }
  }

  /** Return the headers of a request. Tokens go to the origin of the worker only. Throws TypeError for a bad header. */
  async #headersOf(call: Call, url: string): Promise<Headers> {
    const headers: Record<string, string> = { ...call.headers };
    if (new URL(url).origin !== new URL(this.baseUrl).origin) return new Headers(headers);
    const token = call.token ?? (typeof this.#token === "function" ? await this.#token() : this.#token);
    const taken = Object.keys(this.#headers).some((name) => name.toLowerCase() === "authorization");
    if (token) headers[taken ? "X-Worker-Token" : "Authorization"] = taken ? token : `Bearer ${token}`;
    return new Headers({ ...this.#headers, ...headers });
  }
}

/** Aborts a request when the signal of its caller does, and when no byte has arrived for some time. */
class Guard {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #stallMs: number;
  readonly #abort: () => void;
  #timer: ReturnType<typeof setTimeout>;
  stalled = false;

  constructor(firstMs: number, stallMs: number, caller: AbortSignal | undefined) {
    this.#stallMs = stallMs;
    this.#caller = caller;
    this.#abort = () => this.#controller.abort(caller?.reason);
    caller?.addEventListener("abort", this.#abort);
    this.#timer = this.#start(firstMs);
  }

  /** The signal for `fetch`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What has happened if the connection has stalled. */
  get reason(): string {
    return `no data arrived for ${Math.round(this.#stallMs / 1000)} s`;
  }

  /** Return the value of a promise that has to settle before the connection counts as lost. */
  async watch<T>(read: Promise<T>): Promise<T> {
    clearTimeout(this.#timer);
    this.#timer = this.#start(this.#stallMs);
    try {
      return await read;
    } finally {
      clearTimeout(this.#timer);
    }
  }

  /** Stop to watch. */
  end(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#abort);
  }

  #start(ms: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.stalled = true;
      this.#controller.abort();
    }, ms);
  }
}

/** Yield the bytes of a response. Throws ComfyError if the connection is lost, or the reason of the caller's signal. */
async function* chunksOf(response: Response, guard: Guard, where: string): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  let complete = false;
  try {
    while (reader) {
      const { done, value } = await guard.watch(reader.read());
      if (done) break;
      yield value;
    }
    complete = true;
  } catch (error) {
    if (guard.signal.aborted && !guard.stalled) throw guard.signal.reason;
    throw connectionFailed(where, guard.stalled ? new Error(guard.reason) : error);
  } finally {
    guard.end();
    if (!complete) void reader?.cancel().catch(() => undefined);
  }
}

/** Return the error of a response with a status of 400 and more. */
async function errorOf(response: Response, guard: Guard, where: string): Promise<ComfyError> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOf(response, guard, where)) chunks.push(chunk);
  const text = new TextDecoder().decode(joined(chunks));
  const seconds = Number.parseFloat(response.headers.get("retry-after") ?? "");
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
  const error = errorIn(parsed(text), response.status, retryAfterMs);
  return error ?? badResponse(where, response.status, response.headers.get("content-type") ?? "", text);
}

/** Return the JSON value of a response. Throws ComfyError if it is no object or list. */
export function jsonOf(answer: Answer, where: string): unknown {
  const text = new TextDecoder().decode(answer.bytes);
  const value = parsed(text);
  if (!isObject(value) && !Array.isArray(value)) throw badResponse(where, answer.status, answer.contentType, text);
  return value;
}

/** Return whether a request is sent again after this failure. */
function isRepeated(failure: ComfyError, call: Call): boolean {
  if (!failure.retryable || (call.jobId !== undefined && failure.jobId === call.jobId)) return false;
  if (failure.status === 429 || (failure.status === 503 && failure.code !== "bad_response")) return true;
  const isTransient = failure.code === "connection_failed" || failure.code === "bad_response";
  return isTransient && (call.repeatable !== false || wasNeverSent(failure));
}

/** Return whether no connection was made. Only the `fetch` of Node reports that. */
function wasNeverSent(failure: ComfyError): boolean {
  const cause = isObject(failure.cause) ? failure.cause["cause"] : undefined;
  return isObject(cause) && NEVER_SENT.has(String(cause["code"]));
}

/** Return the milliseconds before the next attempt: twice the last ones, with jitter, or those of the worker. */
export function pauseBefore(attempt: number, failure?: ComfyError): number {
  const longest = Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS);
  return (failure?.retryAfterMs ?? 0) + longest * (0.5 + Math.random() / 2);
}

/** Wait for some milliseconds. Throws the reason of the signal when it is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Return a base URL without a slash at its end. Throws TypeError with the cure. */
function checkedUrl(given: string | URL): string {
  const text = String(given ?? "").trim();
  const page = (globalThis as { location?: { href?: string } }).location?.href;
  if (!/^https?:\/\/./i.test(text) && !(page?.startsWith("http") && text.startsWith("/"))) {
    throw new TypeError(
      `baseUrl ${JSON.stringify(text)} is no URL: write it with its scheme, like http://127.0.0.1:18288`,
    );
  }
  const url = new URL(text, page);
  if (url.search || url.hash) throw new TypeError(`baseUrl ${JSON.stringify(text)} must have no ? and no #`);
  if (url.username || url.password)
    throw new TypeError("baseUrl must have no user and no password: use `token` or `headers`");
  return url.href.replace(/\/+$/, "");
}

/** Return the JSON value of a text, or undefined. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Return chunks as one. */
function joined(chunks: Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
