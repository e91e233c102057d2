import assert from "node:assert/strict";
import {
  type HostedPlatform,
  type PlatformOptions,
  startHostedPlatform,
} from "../support/hosted_platform.ts";

const entry = new URL("../support/hosted_probe.ts", import.meta.url);
const start = (options: Partial<PlatformOptions> = {}) =>
  startHostedPlatform({ variables: {}, entry, ...options });

async function ask(platform: HostedPlatform, what = ""): Promise<Response> {
  return await fetch(`${platform.url}?do=${what}`, { method: "POST", body: "{}" });
}

async function until(platform: HostedPlatform, ended: (platform: HostedPlatform) => boolean) {
  while (!ended(platform)) await new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("the hosted platform keeps an isolate warm and cuts the gateway's path off", async () => {
  await using platform = start();
  const first = await (await ask(platform)).json();
  const second = await (await ask(platform)).json();
  assert.equal(first.path, "/backup");
  assert.equal(second.id, first.id);
  assert.equal(platform.figures().isolates, 1);
});

Deno.test("the hosted platform kills at the CPU limit, retires at its half, and warns before", async () => {
  const log: string[] = [];
  await using platform = start({ limits: { cpuMs: 1500 }, onLog: (line) => log.push(line) });
  const first = await (await ask(platform, "burn")).json();
  await until(platform, (it) => it.figures().cpuMs > 900);
  const second = await (await ask(platform)).json();
  assert.notEqual(second.id, first.id, "a retired isolate took a request");
  await until(platform, (it) => it.figures().ended.cpu === 1);
  assert.deepEqual(log, ["beforeunload: cpu"]);
});

Deno.test("the hosted platform kills at the memory limit", async () => {
  await using platform = start({ limits: { memoryBytes: 120e6 } });
  await (await ask(platform, "fill")).body?.cancel();
  await until(platform, (it) => it.figures().ended.memory === 1);
  assert.ok(platform.figures().peakMemoryBytes >= 120e6);
});

Deno.test("the hosted platform kills at the end of the wall clock, after a warning", async () => {
  const log: string[] = [];
  await using platform = start({ limits: { wallMs: 3000 }, onLog: (line) => log.push(line) });
  const first = await (await ask(platform, "wait")).json();
  await until(platform, (it) => it.figures().ended.wall_clock === 1);
  assert.deepEqual(log, ["beforeunload: wall_clock"]);
  assert.notEqual((await (await ask(platform)).json()).id, first.id);
});

Deno.test("the hosted platform kills at random by a seed, and ends what is retired and idle", async () => {
  await using platform = start({ kills: { seed: 7, betweenMs: [300, 600], share: 1, most: 1 } });
  await (await ask(platform, "wait")).body?.cancel();
  await until(platform, (it) => it.figures().ended.random === 1);
  await (await ask(platform, "wait")).body?.cancel();
  assert.equal(platform.killOne(), true);
  assert.equal(platform.figures().ended.random, 2);
});

Deno.test("the hosted platform answers 546 for an isolate that is gone", async () => {
  await using platform = start();
  const answer = await ask(platform, "crash");
  assert.equal(answer.status, 546);
  assert.equal(answer.headers.get("sb-error-code"), "WORKER_RESOURCE_LIMIT");
  assert.equal((await answer.json()).code, "WORKER_RESOURCE_LIMIT");
  assert.equal((await (await ask(platform)).json()).path, "/backup");
});
