import type { components } from "./generated/api.js";
import { ComfyError, errorIn } from "./errors.js";
import { pause, pauseBefore, Transport, type Call, type TransportOptions } from "./transport.js";
import type { CallOptions } from "./types.js";

type Schemas = components["schemas"];

/** The body of a request: `input`, and fields of RunPod's API beside it. */
export type RunPodRequest<I = Schemas["RunpodInput"]> = Omit<Schemas["RunpodRequest"], "input"> & { input: I };
/** RunPod's word for the state of a job. */
export type RunPodStatus = Schemas["RunpodStatus"]["status"];
/** The status object of a job. `output` is there once it has ended. */
export type RunPodJob<O = RunPodOutput> = Omit<Schemas["RunpodStatus"], "output"> & { output?: O };
/** Numbers of jobs and workers of an endpoint. */
export type RunPodHealth = Schemas["RunpodHealth"];

/** A file in the output of worker-comfyui: its base64, or a URL with the type `s3_url`. */
export interface RunPodFile {
  filename: string;
  type: "base64" | "s3_url";
  data: string;
  subfolder?: string;
}
/** The output of worker-comfyui. Only `images` is always there. */
export interface RunPodOutput {
  images: RunPodFile[];
  videos?: RunPodFile[];
  audio?: RunPodFile[];
  files?: RunPodFile[];
  texts?: { node_id: string; text: string }[];
  status?: string;
  errors?: string[];
}

/** Options of a runner. `baseUrl` is that of a worker, of a proxy, or RunPod's `https://api.runpod.ai/v2`. */
export interface RunPodOptions extends TransportOptions {
  /** Id of the endpoint. A worker accepts any name. */
  endpoint?: string;
}
/** Options of `getJobOutput`. */
export interface OutputOptions extends CallOptions {
  /** Whether to wait for the end of the job. The default is true. */
  wait?: boolean;
}

/** The methods of a runner that can be renamed. */
export type RunnerMethod = "submitJob" | "getJobStatus" | "getJobOutput" | "cancelJob" | "getHealth";
/** An object with the methods of a runner under other names. */
export type Adapted<R, M extends Record<string, RunnerMethod>> = {
  [K in keyof M]: M[K] extends keyof R ? R[M[K]] : never;
};

const WAIT_MS = 25_000;
const BEFORE_END: readonly RunPodStatus[] = ["IN_QUEUE", "IN_PROGRESS"];

/**
 * Jobs through RunPod's API, of RunPod or of a worker: submit, status, output, cancel.
 *
 * `I` is the type of the input, and `O` that of the output.
 */
export class RunPodJobRunner<I extends object = Schemas["RunpodInput"], O = RunPodOutput> {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(options: RunPodOptions) {
    this.#transport = new Transport(options);
    const prefix = /\/v2$/.test(this.#transport.baseUrl) ? "" : "/v2";
    this.#path = `${prefix}/${encodeURIComponent(options.endpoint ?? "comfy")}`;
  }

  /**
   * Start a job and return its id. The argument is the input, or a request with `input`, `policy` and `webhook`.
   *
   * RunPod's API has no key for repeated requests. A request that may have been received is therefore not repeated.
   */
  async submitJob(request: I | RunPodRequest<I>, options: CallOptions = {}): Promise<RunPodJob<O>> {
    const body = JSON.stringify("input" in request ? request : { input: request });
    const headers = { "Content-Type": "application/json" };
    return this.#call({
      method: "POST",
      path: "/run",
      body,
      size: body.length,
      headers,
      repeatable: false,
      signal: options.signal,
    });
  }

  /** Return the status of a job, with its output once it has ended. */
  getJobStatus(id: string, options: CallOptions = {}): Promise<RunPodJob<O>> {
    return this.#call({ method: "GET", path: `/status/${encodeURIComponent(id)}`, signal: options.signal });
  }

  /**
   * Wait for the end of a job and return its output. Throws ComfyError if it was not completed.
   *
   * Without `wait`, the result is undefined for a job that has not ended.
   */
  async getJobOutput(id: string, options: OutputOptions & { wait: false }): Promise<O | undefined>;
  async getJobOutput(id: string, options?: OutputOptions): Promise<O>;
  async getJobOutput(id: string, options: OutputOptions = {}): Promise<O | undefined> {
    for (let early = 0; ;) {
      const start = Date.now();
      const path = `/status-sync/${encodeURIComponent(id)}?wait=${WAIT_MS}`;
      const job =
        options.wait === false
          ? await this.getJobStatus(id, options)
          : await this.#call({ method: "GET", path, holdMs: WAIT_MS, signal: options.signal });
      if (job.status === "COMPLETED") return job.output as O;
      if (!BEFORE_END.includes(job.status)) throw failureOf(job);
      if (options.wait === false) return undefined;
      early = Date.now() - start < 1000 ? early + 1 : 0;
      if (early) await pause(pauseBefore(Math.min(early - 1, 3)), options.signal);
    }
  }

  /** Cancel a job and return its status. */
  cancelJob(id: string, options: CallOptions = {}): Promise<RunPodJob<O>> {
    return this.#call({ method: "POST", path: `/cancel/${encodeURIComponent(id)}`, signal: options.signal });
  }

  /** Return the numbers of jobs and workers. */
  getHealth(options: CallOptions = {}): Promise<RunPodHealth> {
    return this.#transport.json({ method: "GET", path: `${this.#path}/health`, signal: options.signal });
  }

  /** Return an object with these methods under other names: `adapt({ run: "submitJob", poll: "getJobStatus" })`. */
  adapt<const M extends Record<string, RunnerMethod>>(names: M): Adapted<this, M> {
    const entries = Object.entries(names).map(([name, method]) => [
      name,
      (this[method] as (...args: never[]) => unknown).bind(this),
    ]);
    return Object.fromEntries(entries) as Adapted<this, M>;
  }

  /** Send a request below the path of the endpoint, and return the status object. */
  #call(call: Call): Promise<RunPodJob<O>> {
    return this.#transport.json({ ...call, path: this.#path + call.path });
  }
}

/** Return the error of a job that was not completed. */
function failureOf(job: RunPodJob<unknown>): ComfyError {
  const error = errorIn(job, 200);
  if (error) return error;
  const code = { CANCELLED: "cancelled", TIMED_OUT: "timeout" }[job.status as string] ?? "job_failed";
  return new ComfyError({
    code,
    message: job.error ?? `the job has the status ${job.status}`,
    status: 200,
    fault: "job",
    retryable: false,
    jobId: job.id,
  });
}
