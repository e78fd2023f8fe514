import type { components } from "./generated/api.js";
import type { FileContent } from "./files.js";

type Schemas = components["schemas"];

/** The result of a job: its outputs, and what was changed or could not be delivered. */
export type Result = Schemas["NativeResult"];
/** One output: a file as base64 (`data`) or by its URL, or a text. */
export type Output = Schemas["NativeOutput"];
/** The state of a job that has not ended. `submit` returns it as well. */
export type PendingJob = Schemas["Pending"];
/** What a cancellation did. */
export type Cancelled = Schemas["Cancelled"];
/** What `validate` found. */
export type Report = Schemas["Report"];
/** A template of the worker. */
export type TemplateEntry = Schemas["TemplateEntry"];
/** A template with the JSON Schema of its parameters. */
export type TemplateDescription = Schemas["TemplateDescription"];

/** The id and the token of a job. Another process can wait for the job with them. */
export type JobHandle = Pick<PendingJob, "id" | "token">;

/** Parameters by the name of their template. */
export type TemplateMap = Record<string, object>;

/** Fields that every request can have. */
export type RequestFields = Omit<Schemas["NativeRequest"], "workflow" | "prompt" | "template" | "params"> & {
  /** Input files by the names that the workflow uses. They are sent as they are, without base64. */
  files?: Record<string, FileContent>;
};
/** A request with a workflow: ComfyUI's API format, or a file of its editor. */
export type WorkflowRequest = RequestFields & Pick<Schemas["NativeRequest"], "workflow" | "prompt">;
/** A request with a template. `params` can be left out if none is required. */
export type TemplateRequest<T extends object> = {
  [N in keyof T]: RequestFields & { template: N } & ({} extends T[N] ? { params?: T[N] } : { params: T[N] });
}[keyof T];
/** A request that starts a job. */
export type GenerateRequest<T extends object> = WorkflowRequest | TemplateRequest<T>;

/** Options of a call. */
export interface CallOptions {
  /** Ends the call. A job that the call has started is cancelled, unless only its handle was wanted. */
  signal?: AbortSignal | undefined;
}
/** Options of a call that starts a job. */
export interface SubmitOptions extends CallOptions {
  /** Key under which the request can be sent again, also by another process. The client draws one by default. */
  idempotencyKey?: string | undefined;
}

/** An event of a job. `id` is its number, with which a stream resumes. */
export type JobEvent =
  | { type: "accepted"; id: string; data: Schemas["AcceptedEvent"] }
  | { type: "state"; id: string; data: Schemas["StateEvent"] }
  | { type: "node"; id: string; data: Schemas["NodeEvent"] }
  | { type: "step"; id: string; data: Schemas["StepEvent"] }
  | { type: "preview"; id: string; data: Schemas["PreviewEvent"] }
  | { type: "output"; id: string; data: Output }
  | { type: "result"; id: string; data: Result };
