// The calls of RunPod's npm client that a recording has, in the same order: node js_client.mjs BASE_URL KEY ENDPOINT
import runpodSdk from "runpod-sdk";

const [baseUrl, key, id] = process.argv.slice(2);
const sdk = (runpodSdk.default ?? runpodSdk)(key, { baseUrl });
const endpoint = sdk.endpoint(id);

const echoed = await endpoint.runSync({ input: { op: "echo", js: 1 } }, 20000);
await new Promise((resolve) => setTimeout(resolve, 1500)); // until the worker asks again
const slept = await endpoint.runSync({ input: { op: "sleep", s: 3 } }, 2000);
const queued = await endpoint.run({ input: { op: "raise" } });
await new Promise((resolve) => setTimeout(resolve, 2500));
const failed = await endpoint.status(queued.id);
const health = await endpoint.health();
const purged = await endpoint.purgeQueue();
let missing = "";
try {
  await endpoint.status("nope");
} catch (error) {
  missing = String(error);
}
console.log(JSON.stringify({ echoed, slept, failed, health, purged, missing }));
