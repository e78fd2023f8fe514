// Jobs of RunPod's npm client, on the worker's own port: node js_client.mjs BASE_URL KEY SHORT_WORKFLOW LONG_WORKFLOW
import runpodSdk from "runpod-sdk";

const [baseUrl, key, short, long] = process.argv.slice(2);
const endpoint = (runpodSdk.default ?? runpodSdk)(key, { baseUrl }).endpoint("any");
const input = (text) => ({ input: { workflow: JSON.parse(text) } });
const types = (found) => found.output.images.map((image) => image.type);

const waited = await endpoint.runSync(input(short), 20000);
const unfinished = await endpoint.runSync(input(long), 1000);
const slow = await endpoint.statusSync(unfinished.id, 20000);
const queued = await endpoint.run(input(short));
let followed = await endpoint.status(queued.id);
while (!followed.completed) followed = await endpoint.status(queued.id);
const streamed = [];
for await (const part of endpoint.stream(queued.id)) streamed.push(part);
const running = await endpoint.run(input(long));
const cancelled = [(await endpoint.cancel(running.id)).status, (await endpoint.status(running.id)).status];
const failed = await endpoint.runSync({ input: {} }, 5000);
const busy = await endpoint.run(input(long));
while ((await endpoint.status(busy.id)).status === "IN_QUEUE");
await endpoint.run(input(short));
const { removed, status } = await endpoint.purgeQueue();
const health = await endpoint.health();
let missing = "";
try {
  await endpoint.status("nope");
} catch (error) {
  missing = String(error);
}
console.log(
  JSON.stringify({
    waited: types(waited), unfinished: unfinished.status, slow: types(slow), followed: types(followed), failed: [failed.status, failed.error],
    cancelled, streamed, purged: [removed, status],
    health: Object.keys(health).sort(), missing,
  }),
);
