export { ComfyClient } from "./client.js";
export { ComfyError, type Detail } from "./errors.js";
export type { FileContent } from "./files.js";
export type { FileValue, TemplateParams } from "./generated/templates.js";
export {
  RunPodJobRunner,
  type Adapted,
  type OutputOptions,
  type RunnerMethod,
  type RunPodFile,
  type RunPodHealth,
  type RunPodJob,
  type RunPodOptions,
  type RunPodOutput,
  type RunPodRequest,
  type RunPodStatus,
} from "./runpod.js";
export type { TransportOptions as ClientOptions } from "./transport.js";
export type * from "./types.js";
