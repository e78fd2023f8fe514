// What the compiler accepts and rejects. It is never run: `npm run check` compiles it.
import { ComfyClient, ComfyError, RunPodJobRunner } from "comfy-worker-client";
import type { JobEvent, Output, Result, RunPodJob, RunPodOutput, TemplateParams } from "comfy-worker-client";

const client = new ComfyClient({ baseUrl: "http://127.0.0.1:18288", token: "0123456789abcdef" });
new ComfyClient({ baseUrl: new URL("http://127.0.0.1:18288"), token: async () => "0123456789abcdef", fetch });
// @ts-expect-error baseUrl is required
new ComfyClient({});

export async function templates(image: Blob): Promise<Result[]> {
  return [
    await client.template("flux-schnell", { prompt: "a harbour at dawn", width: 1024 }),
    await client.template("flux-schnell", {}, { output_format: "url", signal: AbortSignal.timeout(60_000) }),
    await client.template("flux-schnell"),
    await client.template("upscale", { image }),
    await client.template("upscale", { image: new Uint8Array(), model: "other.safetensors" }),
    await client.template("flux-dev-lora", { loras: [{ name: "a.safetensors", strength: 0.5 }] }),
    await client.template("z-image-turbo", { seed: -1 }),
    await client.generate({ template: "sdxl", params: { prompt: "a harbour" } }, { idempotencyKey: "order-17" }),
    await client.generate({ template: "smoke-resize" }),
    // @ts-expect-error a parameter that does not exist
    await client.template("flux-schnell", { promt: "a harbour at dawn" }),
    // @ts-expect-error a parameter of another type
    await client.template("flux-schnell", { width: "1024" }),
    // @ts-expect-error a template that does not exist
    await client.template("flux-snell", { prompt: "a harbour at dawn" }),
    // @ts-expect-error the image is required
    await client.template("upscale"),
    // @ts-expect-error the image is required
    await client.template("upscale", {}),
    // @ts-expect-error a sampler that ComfyUI does not have
    await client.template("flux-controlaltai", { sampler: "eulr" }),
    // @ts-expect-error a parameter of another template
    await client.generate({ template: "flux-schnell", params: { image } }),
    // @ts-expect-error a field that does not exist
    await client.generate({ workflow: {}, ouput_format: "url" }),
    // @ts-expect-error a format that does not exist
    await client.generate({ workflow: {}, output_format: "bytes" }),
  ];
}

type OwnTemplates = TemplateParams & { portrait: { name: string; age?: number } };
export function own(): Promise<Result> {
  const own = new ComfyClient<OwnTemplates>({ baseUrl: "http://127.0.0.1:18288" });
  // @ts-expect-error the name is required
  void own.template("portrait", { age: 3 });
  return own.template("portrait", { name: "Ada" });
}

export function dynamic(name: string, params: object): Promise<Result> {
  return new ComfyClient<Record<string, object>>({ baseUrl: "http://127.0.0.1:18288" }).template(name, params);
}

export function describe(event: JobEvent): string {
  switch (event.type) {
    case "accepted":
      return event.data.token;
    case "state":
      return event.data.state satisfies "queued" | "preparing" | "waiting" | "generating" | "delivering" | string;
    case "node":
      return event.data.class_type;
    case "step":
      return `${event.data.value} of ${event.data.max}`;
    case "preview":
      return event.data.mime;
    case "output":
      return event.data.filename;
    case "result":
      return event.data.outputs.map((output) => output.kind).join();
  }
}

export async function jobs(workflow: Record<string, unknown>, photo: Uint8Array): Promise<Uint8Array> {
  const { id, token } = await client.submit({ workflow, files: { "photo.png": photo } });
  const state = await client.status({ id, token });
  if (state.status === "pending") console.log(state.position, state.eta_s, state.node?.class_type);
  const result = await client.wait({ id, token }, { signal: AbortSignal.timeout(600_000) });
  const first: Output | undefined = result.outputs[0];
  if (!first) throw new Error("no output");
  return client.download(first);
}

export function failure(error: unknown): string {
  if (!(error instanceof ComfyError)) throw error;
  const fault: "client" | "worker" | "job" = error.fault;
  return `${error.code} ${error.status} ${fault} ${error.retryable} ${error.details[0]?.node_id}`;
}

export async function handler(): Promise<number> {
  return (await client.handler<{ sum: number }>("add_numbers", { first: 1, data: new Uint8Array() })).sum;
}

const runner = new RunPodJobRunner({ baseUrl: "http://127.0.0.1:18288", endpoint: "comfy", token: "0123456789abcdef" });
const adapted = runner.adapt({ run: "submitJob", poll: "getJobStatus", result: "getJobOutput", stop: "cancelJob" });
export async function queue(workflow: Record<string, unknown>): Promise<RunPodOutput> {
  const job: RunPodJob = await adapted.run({ workflow });
  await adapted.run({ input: { workflow }, policy: { executionTimeout: 60_000 } });
  const { status } = await adapted.poll(job.id);
  if (status === "FAILED" || status === "TIMED_OUT") await adapted.stop(job.id);
  // @ts-expect-error a status that RunPod does not have
  if (status === "DONE") return adapted.result(job.id);
  // @ts-expect-error a name that the map does not have
  adapted.submitJob({ workflow });
  // @ts-expect-error a method that the runner does not have
  runner.adapt({ run: "submit" });
  const output: RunPodOutput | undefined = await adapted.result(job.id, { wait: false });
  return output ?? adapted.result(job.id);
}

export async function typedQueue(): Promise<number> {
  const typed = new RunPodJobRunner<{ prompt: string }, { score: number }>({ baseUrl: "https://api.runpod.ai/v2" });
  // @ts-expect-error the prompt is required
  void typed.submitJob({});
  const { id } = await typed.submitJob({ prompt: "a harbour" });
  return (await typed.getJobOutput(id)).score;
}
