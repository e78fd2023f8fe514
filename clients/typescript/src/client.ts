import { badResponse, ComfyError, connectionFailed, errorIn, isObject } from "./errors.js";
import { eventsIn } from "./events.js";
import { bodyOf, encoded, fromBase64, type Body } from "./files.js";
import type { TemplateParams } from "./generated/templates.js";
import { jsonOf, pause, pauseBefore, Transport, type Answer, type Call, type TransportOptions } from "./transport.js";
import type {
  Cancelled,
  CallOptions,
  GenerateRequest,
  JobEvent,
  JobHandle,
  Output,
  PendingJob,
  Report,
  RequestFields,
  Result,
  SubmitOptions,
  TemplateDescription,
  TemplateEntry,
} from "./types.js";

/** Seconds of one request that waits. Proxies often close a connection that is silent for 30 or 60 seconds. */
const POLL_S = 25;
/** A stream that has lived for this time shows that the worker responds. */
const SHORT_MS = 5000;
/** Bodies up to this size are sent again to cancel a job whose token has not arrived. */
const SMALL_BYTES = 1024 * 1024;

/**
 * A client of one worker, or of a proxy in front of several.
 *
 * `T` are the parameters of the templates that can be named. By default they are those that the worker includes.
 * Failures are thrown as ComfyError, and an aborted signal as its reason.
 */
export class ComfyClient<T extends object = TemplateParams> {
  readonly #transport: Transport;

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
  }

  /** Run a job and return its result. If the signal is aborted, the job is cancelled. */
  async generate(request: GenerateRequest<T>, options: SubmitOptions = {}): Promise<Result> {
    return (await this.#run("/generate", bodyOf({ ...request }), {}, options, resultOf)) as Result;
  }

  /** Run a template with these parameters and return its result, as `generate` does. */
  template<N extends keyof T & string>(
    name: N,
    ...rest: {} extends T[N]
      ? [params?: T[N], options?: Omit<RequestFields, "id"> & SubmitOptions]
      : [params: T[N], options?: Omit<RequestFields, "id"> & SubmitOptions]
  ): Promise<Result> {
    const [params, { signal, idempotencyKey, ...fields } = {}] = rest;
    return this.generate({ ...fields, template: name, params: params ?? {} } as unknown as GenerateRequest<T>, {
      signal,
      idempotencyKey,
    });
  }

  /** Start a job and return its handle at once. The job goes on without the client. */
  submit(request: GenerateRequest<T>, options: SubmitOptions = {}): Promise<PendingJob> {
    const key = options.idempotencyKey ?? drawnKey();
    return this.#transport.json<PendingJob>(submission("/generate", bodyOf({ ...request }), {}, key, options.signal));
  }

  /** Wait for the end of a job and return its result. If the signal is aborted, the job goes on. */
  async wait(job: JobHandle, options: CallOptions = {}): Promise<Result> {
    return resultOf(await this.#end(job, options.signal)) as Result;
  }

  /** Return the state of a job that has not ended, or else its result. Throws the error of a job that has failed. */
  status(job: JobHandle, options: CallOptions = {}): Promise<PendingJob | Result> {
    return this.#transport.json(this.#about(job, "GET", "", options.signal));
  }

  /** Run a job and yield its events. The last one is `result`. If the loop is left before it, the job is cancelled. */
  async *stream(request: GenerateRequest<T>, options: SubmitOptions = {}): AsyncGenerator<JobEvent, void, undefined> {
    const key = options.idempotencyKey ?? drawnKey();
    const body = bodyOf({ ...request });
    let job: JobHandle | undefined;
    let ended = false;
    const open = (last: string) =>
      this.#transport.stream(
        job ? this.#events(job, last, options.signal) : submission("/generate/stream", body, {}, key, options.signal),
      );
    try {
      for await (const event of this.#follow(open, () => job?.id, options.signal)) {
        if (event.type === "accepted") job = event.data;
        ended = event.type === "result";
        yield event;
      }
    } catch (error) {
      ended ||= error instanceof ComfyError && error.code !== "connection_failed";
      throw error;
    } finally {
      if (!ended) void this.#abandon("/generate", body, {}, key, job);
    }
  }

  /** Yield the events of a job, past and future, or those after an event. If the loop is left, the job goes on. */
  events(job: JobHandle, options: CallOptions & { after?: string } = {}): AsyncGenerator<JobEvent, void, undefined> {
    return this.#follow(
      (last) => this.#transport.stream(this.#events(job, last, options.signal)),
      () => job.id,
      options.signal,
      options.after,
    );
  }

  /** Cancel a job. A job that has ended is not affected. */
  cancel(job: JobHandle, options: CallOptions = {}): Promise<Cancelled> {
    return this.#transport.json(this.#about(job, "DELETE", "", options.signal));
  }

  /** Return the content of an output: the bytes of its file, or its text in UTF-8. */
  async download(output: Output, options: CallOptions = {}): Promise<Uint8Array> {
    if (output.data) return fromBase64(output.data);
    if (typeof output.text === "string") return new TextEncoder().encode(output.text);
    if (!output.url) throw new TypeError(`the output ${JSON.stringify(output.filename)} has neither data nor a URL`);
    const call: Call = { method: "GET", path: output.url, signal: options.signal };
    const { bytes, status, contentType } = await this.#transport.read(call);
    if (bytes.length === output.bytes) return bytes;
    throw badResponse(
      `GET ${output.url.split("?")[0]}`,
      status,
      contentType,
      `${bytes.length} bytes instead of ${output.bytes}`,
    );
  }

  /** Check a request as the worker would, and run nothing. */
  validate(request: GenerateRequest<T>, options: CallOptions = {}): Promise<Report> {
    const { body, headers, size } = bodyOf({ ...request });
    return this.#transport.json({ method: "POST", path: "/validate", body, headers, size, signal: options.signal });
  }

  /** Return the templates of the worker. */
  async templates(options: CallOptions = {}): Promise<TemplateEntry[]> {
    const call: Call = { method: "GET", path: "/templates", signal: options.signal };
    return (await this.#transport.json<{ templates: TemplateEntry[] }>(call)).templates;
  }

  /** Return one template with the JSON Schema of its parameters. */
  describeTemplate(name: string, options: CallOptions = {}): Promise<TemplateDescription> {
    return this.#transport.json({
      method: "GET",
      path: `/templates/${encodeURIComponent(name)}`,
      signal: options.signal,
    });
  }

  /**
   * Call a handler of the worker and return its result. If the signal is aborted, the call is cancelled.
   *
   * Bytes among the arguments are sent as base64. A result that is no JSON is returned as its bytes.
   */
  async handler<R = unknown>(
    name: string,
    args: Record<string, unknown> = {},
    options: SubmitOptions = {},
  ): Promise<R> {
    const json = JSON.stringify(encoded(args));
    const body: Body = { body: json, headers: { "Content-Type": "application/json" }, size: json.length };
    const path = `/handlers/${encodeURIComponent(name)}`;
    return (await this.#run(path, body, { Prefer: "respond-async" }, options, handlerResultOf)) as R;
  }

  /** Start a job, wait for its end, and return the result. A job that has failed and may be retried runs once more. */
  async #run(
    path: string,
    body: Body,
    headers: Record<string, string>,
    options: SubmitOptions,
    read: (answer: Answer) => unknown,
  ): Promise<unknown> {
    const key = options.idempotencyKey ?? drawnKey();
    for (let attempt = 0; ; attempt++) {
      let job: JobHandle | undefined;
      try {
        job = await this.#transport.json<PendingJob>(submission(path, body, headers, key, options.signal));
        return read(await this.#end(job, options.signal));
      } catch (error) {
        if (options.signal?.aborted) void this.#abandon(path, body, headers, key, job);
        const runsAgain =
          error instanceof ComfyError &&
          job !== undefined &&
          error.jobId === job.id &&
          error.retryable &&
          error.status === 503;
        if (!runsAgain || attempt) throw error;
        await pause(pauseBefore(2, error), options.signal);
      }
    }
  }

  /** Wait for the end of a job, and return the response with its result. The worker holds each request for a while. */
  async #end(job: JobHandle, signal: AbortSignal | undefined): Promise<Answer> {
    for (let early = 0; ;) {
      const start = Date.now();
      const headers = { Prefer: `wait=${POLL_S}` };
      const call = { ...this.#about(job, "GET", "", signal), headers, holdMs: POLL_S * 1000 };
      const answer = await this.#transport.read(call);
      if (answer.status !== 202) return answer;
      // A server that does not know `Prefer` responds at once.
      early = Date.now() - start < 1000 ? early + 1 : 0;
      if (early) await pause(pauseBefore(Math.min(early - 1, 3)), signal);
    }
  }

  /** Yield the events of streams until the result. Each stream continues after the last event of the one before. */
  async *#follow(
    open: (last: string) => Promise<AsyncGenerator<Uint8Array, void, undefined>>,
    jobId: () => string | undefined,
    signal: AbortSignal | undefined,
    after = "",
  ): AsyncGenerator<JobEvent, void, undefined> {
    let end = Date.now() + this.#transport.outageMs;
    for (let failures = 0; ; failures++) {
      const start = Date.now();
      const stream = await open(after);
      let failure: unknown = new Error("the stream has ended before the result");
      try {
        for await (const { id, name, data } of eventsIn(stream)) {
          const value: unknown = JSON.parse(data);
          if (name === "result") throwFailed(value, jobId());
          if (id) after = id;
          failures = 0;
          end = Date.now() + this.#transport.outageMs;
          yield { type: name, id, data: value } as JobEvent;
          if (name === "result") return;
        }
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof ComfyError) || error.code !== "connection_failed") throw error;
        failure = error;
      }
      if (Date.now() - start > SHORT_MS) end = Date.now() + this.#transport.outageMs;
      if (Date.now() > end) throw failure instanceof ComfyError ? failure : connectionFailed("events", failure);
      await pause(pauseBefore(Math.min(failures, 4)), signal);
    }
  }

  /**
   * Cancel a job that nobody waits for any more. Errors have no effect.
   *
   * If the response with its token has not arrived, the same submission returns it. A large body is not sent again:
   * then only a client with a token of the worker can cancel.
   */
  async #abandon(
    path: string,
    body: Body,
    headers: Record<string, string>,
    key: string,
    job: JobHandle | undefined,
  ): Promise<void> {
    const once = { retryMs: 0 };
    try {
      if (!job && !this.#transport.hasToken && body.size <= SMALL_BYTES) {
        job = await this.#transport.json<PendingJob>({ ...submission(path, body, headers, key, undefined), ...once });
      }
      await this.#transport.read({ ...this.#about(job ?? { id: key, token: "" }, "DELETE", "", undefined), ...once });
    } catch {
      // The job ends by itself.
    }
  }

  /** Return a request for the events of a job after one of them. */
  #events(job: JobHandle, last: string, signal: AbortSignal | undefined): Call {
    return { ...this.#about(job, "GET", "/events", signal), headers: last ? { "Last-Event-ID": last } : {} };
  }

  /** Return a request about a job. `suffix` follows its path. */
  #about(job: JobHandle, method: Call["method"], suffix: string, signal: AbortSignal | undefined): Call {
    const path = `/jobs/${encodeURIComponent(job.id)}${suffix}`;
    return { method, path, token: job.token || undefined, jobId: job.id, signal, retryMs: this.#transport.outageMs };
  }
}

/** Return a request that starts a job once, however often it is sent. */
function submission(
  path: string,
  body: Body,
  headers: Record<string, string>,
  key: string,
  signal: AbortSignal | undefined,
): Call {
  return {
    method: "POST",
    path,
    body: body.body,
    size: body.size,
    headers: { ...body.headers, ...headers, "Idempotency-Key": key },
    signal,
  };
}

/** Return the result in a response. */
function resultOf(answer: Answer): unknown {
  return jsonOf(answer, "the result of the job");
}

/** Return the result of a handler: the value of its JSON, or its bytes. */
function handlerResultOf(answer: Answer): unknown {
  return answer.contentType === "application/json" ? JSON.parse(new TextDecoder().decode(answer.bytes)) : answer.bytes;
}

/** Throw the error in the data of the event `result`, if it is one. */
function throwFailed(value: unknown, jobId: string | undefined): void {
  const error = errorIn(isObject(value) ? { id: jobId, ...value } : value, 0);
  if (error) throw error;
}

/** Return a new key for a request. `crypto` is missing in Node 18, and has only this method on pages without TLS. */
function drawnKey(): string {
  const bytes = new Uint8Array(16);
  if (globalThis.crypto?.getRandomValues) globalThis.crypto.getRandomValues(bytes);
  else for (let index = 0; index < bytes.length; index++) bytes[index] = Math.floor(Math.random() * 256);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
