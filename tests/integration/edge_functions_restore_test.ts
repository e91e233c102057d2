import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { ItemStep } from "../../supabase/functions/backup/core/items.ts";
import { functionsTarget } from "../../supabase/functions/backup/project/mod.ts";
import { backUp, deploy, type Sample, sourceOf } from "../support/deployed_functions.ts";
import { type KeptItems, restoreItem } from "../support/item_round_trip.ts";
import {
  type ManagementContract,
  startManagementContract,
} from "../support/management_contract.ts";

const signal = new AbortController().signal;

async function planFor(contract: ManagementContract, kept: KeptItems): Promise<ItemStep[]> {
  return await functionsTarget({ api: contract.api() }).plan(kept.items, signal);
}

Deno.test("hints name the permission that the document asks for", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "hello");
  const kept = await backUp(contract);
  await deploy(contract, "hello", { verifyJwt: false });
  contract.permissions = new Set();
  await assert.rejects(sourceOf(contract).page(null, signal), { hint: /edge_functions_read/ });
  contract.permissions = new Set(["edge_functions_read"]);
  const target = functionsTarget({ api: contract.api() });
  const [step] = await target.plan(kept.items, signal);
  await assert.rejects(restoreItem(target, step!, kept), {
    code: "management_forbidden",
    hint: /edge_functions_write/,
  });
});

/** Samples of all that a function may be made of. */
const SAMPLES: Record<string, Sample> = {
  plain: {},
  "open-door": { verifyJwt: false },
  mapped: {
    files: { "mapped/index.ts": 'import "x"', "mapped/deno.json": '{"imports":{"x":"npm:x"}}' },
    importMap: "mapped/deno.json",
  },
  page: {
    files: { "page/index.ts": "Deno.serve()", "page/a.html": "<p>" },
    staticPatterns: ["page/*.html"],
  },
  shared: {
    files: { "shared/index.ts": 'import "../_lib/ä b.ts"', "_lib/ä b.ts": "export {}" },
  },
};

Deno.test("functionsTarget() brings all functions back into an empty project", async () => {
  await using contract = startManagementContract();
  for (const [slug, sample] of Object.entries(SAMPLES)) await deploy(contract, slug, sample);
  const kept = await backUp(contract);
  await using other = startManagementContract();
  const target = functionsTarget({ api: other.api() });
  const steps = await target.plan(kept.items, signal);
  assert(steps.every(({ action }) => action === "create"));
  const how: Record<string, string | undefined> = {};
  for (const step of steps) {
    const { outcome, checked } = await restoreItem(target, step, kept);
    assert.equal(outcome, "done");
    how[step.key] = checked?.replace(/;.*/, "");
  }
  // Import maps and static files are in bundles only: what needs them is deployed from its bundle.
  assert.deepEqual(how, {
    mapped: "deployed from its bundle",
    "open-door": "deployed from its source files",
    page: "deployed from its bundle",
    plain: "deployed from its source files",
    shared: "deployed from its source files",
  });
  for (const slug of Object.keys(SAMPLES)) {
    const [was, is] = [contract, other].map((one) => one.resources.functions.functions.get(slug));
    for (
      const field of [
        "name",
        "verify_jwt",
        "import_map",
        "entrypoint_path",
        "import_map_path",
      ] as const
    ) {
      assert.equal(is?.[field], was?.[field], `${slug} ${field}`);
    }
    const [before, after] = [contract, other].map((one) =>
      one.resources.functions.deployedWith(slug)
    );
    assert.deepEqual(after, before);
  }
  const again = await planFor(other, kept);
  assert(again.every(({ action }) => action === "keep"));
  assert(!other.seen.some((line) => line.startsWith("DELETE")));
});

Deno.test("functionsTarget() shows what differs, changes only that, and leaves other functions alone", async () => {
  await using contract = startManagementContract();
  for (const slug of ["same", "setting", "code"]) await deploy(contract, slug);
  const kept = await backUp(contract);
  await deploy(contract, "code", { files: { "code/index.ts": "other", "code/more.ts": "" } });
  contract.resources.functions.functions.get("setting")!.verify_jwt = false;
  await deploy(contract, "newer");
  const steps = await planFor(contract, kept);
  assert.deepEqual(steps.map(({ key, action, difference }) => ({ key, action, difference })), [
    {
      key: "code",
      action: "replace",
      difference: { code: { from: "version 2", to: "version 1: index.ts, more.ts" } },
    },
    { key: "same", action: "keep", difference: undefined },
    { key: "setting", action: "replace", difference: { verify_jwt: { from: false, to: true } } },
  ]);
  const target = functionsTarget({ api: contract.api() });
  const before = contract.seen.length;
  for (const step of steps.filter(({ action }) => action === "replace")) {
    assert.equal((await restoreItem(target, step, kept)).outcome, "done");
  }
  const changes = contract.seen.slice(before).filter((line) => !line.startsWith("GET"));
  assert.deepEqual(changes, ["POST v1-deploy-a-function 201", "PATCH v1-update-a-function 200"]);
  assert.equal(contract.resources.functions.functions.get("newer")?.version, 1);
  assert((await planFor(contract, kept)).every(({ action }) => action === "keep"));
});

Deno.test("functionsTarget() does a step a second time without doing anything", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "hello");
  const kept = await backUp(contract);
  contract.resources.functions.functions.clear();
  const target = functionsTarget({ api: contract.api() });
  const [step] = await target.plan(kept.items, signal);
  contract.fail("v1-deploy-a-function", "lost", { times: 1 });
  assert.equal((await restoreItem(target, step!, kept)).outcome, "done");
  const version = contract.resources.functions.functions.get("hello")?.version;
  assert.equal((await restoreItem(target, step!, kept)).outcome, "kept");
  assert.equal(contract.resources.functions.functions.get("hello")?.version, version);
});

Deno.test("functionsTarget() takes the bundle when the sources cannot be built any more, or when asked to", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "hello");
  const kept = await backUp(contract);
  const { functions } = contract.resources;
  for (const prefer of ["source", "bundle"] as const) {
    functions.bundles = prefer === "bundle";
    await contract.resources.functions.functions.delete("hello");
    const target = functionsTarget({ api: contract.api(), prefer });
    const [step] = await target.plan(kept.items, signal);
    const { checked } = await restoreItem(target, step!, kept);
    assert.match(checked ?? "", /^deployed from its bundle/);
    // And over a function that is there.
    await functions.handlers["v1-update-a-function"]!({
      ...{
        params: { function_slug: "hello" },
        query: new URLSearchParams(),
        headers: new Headers(),
      },
      ...{ json: { name: "renamed" }, form: null, bytes: new Uint8Array() },
    });
    functions.functions.get("hello")!.ezbr_sha256 = "0".repeat(64);
    const [again] = await target.plan(kept.items, signal);
    assert.deepEqual(again?.difference, { name: { from: "renamed", to: "hello" } });
  }
});

Deno.test("functionsTarget() refuses what it cannot do, and what is not so afterwards", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "hello");
  const kept = await backUp(contract);
  contract.resources.functions.functions.clear();
  const target = functionsTarget({ api: contract.api() });
  const [item] = kept.items;
  const [step] = await target.plan(kept.items, signal);
  const none = { ...item!, contents: [] };
  const [byHand] = await target.plan([none], signal);
  assert.equal(byHand?.action, "by-hand");
  const halved = { ...item!, contents: [], facts: { ...item!.facts } };
  await assert.rejects(restoreItem(target, step!, { ...kept, items: [halved] }), {
    code: "unsupported_object",
  });
  const foreign = { ...item!, facts: { name: 3 } };
  await assert.rejects(restoreItem(target, step!, { ...kept, items: [foreign] }), {
    code: "repository_format",
  });
  contract.fail("v1-deploy-a-function", { status: 402, message: "Max number of functions" });
  const onlySources = {
    ...item!,
    contents: item!.contents.filter(({ name }) => name !== "bundle"),
  };
  await assert.rejects(restoreItem(target, step!, { ...kept, items: [onlySources] }), {
    code: "management_refused",
    message: /plan does not include it \(402: Max number of functions\)/,
  });
  // Deployed by somebody else between the deployment and the look at it.
  let looks = 0;
  const handlers = contract.resources.functions.handlers;
  const get = handlers["v1-get-a-function"]!;
  handlers["v1-get-a-function"] = (request) => {
    if (++looks === 2) contract.resources.functions.functions.get("hello")!.verify_jwt = false;
    return get(request);
  };
  await assert.rejects(restoreItem(target, step!, kept), {
    code: "restore_mismatch",
    message: /verify_jwt differ/,
  });
});

const DEPLOY_FAULTS = [
  [{ status: 401 }, "management_unauthorized"],
  [{ status: 402 }, "management_refused"],
  [{ status: 403 }, "management_forbidden"],
  [{ status: 404 }, "management_not_found"],
  [{ status: 409 }, "management_refused"],
  [{ status: 429, headers: { "retry-after": "9999" } }, "management_unavailable"],
  [{ status: 500 }, "management_unavailable"],
  [{ text: "<html>" }, "management_malformed"],
  ["cut", "management_unavailable"],
  ["lost", "management_unavailable"],
] as const;
for (const [fault, code] of DEPLOY_FAULTS) {
  Deno.test(`functionsTarget() fails with ${code} when a deployment meets ${JSON.stringify(fault)}, and goes on later`, async () => {
    await using contract = startManagementContract();
    await deploy(contract, "hello");
    const kept = await backUp(contract);
    contract.resources.functions.functions.clear();
    const target = functionsTarget({ api: contract.api() });
    const [step] = await target.plan(kept.items, signal);
    contract.fail("v1-deploy-a-function", fault, { times: 5 });
    await assert.rejects(restoreItem(target, step!, kept), { code });
    assert(!contract.seen.some((line) => line.includes("v1-create-a-function")));
    contract.heal();
    // A deployment whose answer was lost is found done.
    contract.fail("v1-deploy-a-function", { status: 503 }, { times: 1 });
    const { outcome } = await restoreItem(functionsTarget({ api: contract.api() }), step!, kept);
    assert(outcome === "done" || outcome === "kept");
    assert((await planFor(contract, kept)).every(({ action }) => action === "keep"));
  });
}

Deno.test("functionsTarget() never sends a new bundle twice when its answer is lost, and finds it afterwards", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "mapped", SAMPLES.mapped);
  const kept = await backUp(contract);
  contract.resources.functions.functions.clear();
  const target = functionsTarget({ api: contract.api() });
  const [step] = await target.plan(kept.items, signal);
  contract.fail("v1-create-a-function", "lost");
  await assert.rejects(restoreItem(target, step!, kept), {
    code: "management_unavailable",
    hint: /may have been done/,
  });
  const created = contract.seen.filter((line) => line.includes("v1-create-a-function"));
  assert.equal(created.length, 1);
  assert.equal((await restoreItem(target, step!, kept)).outcome, "kept");
});

Deno.test("a bundle of 1 MB and its sources come back byte for byte", async () => {
  await using contract = startManagementContract();
  const noise = randomBytes(750_000).toString("base64");
  const files = { "large/index.ts": 'import "./data.ts"', "large/data.ts": `// ${noise}` };
  await deploy(contract, "large", { files });
  const kept = await backUp(contract);
  contract.resources.functions.functions.clear();
  for (const prefer of ["source", "bundle"] as const) {
    const target = functionsTarget({ api: contract.api(), prefer });
    const [step] = await target.plan(kept.items, signal);
    assert.match((await restoreItem(target, step!, kept)).checked ?? "", /the same$/);
    contract.resources.functions.functions.clear();
  }
});

Deno.test("functionsTarget() warns before the function replaces itself", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "backup");
  const kept = await backUp(contract);
  await deploy(contract, "backup", { files: { "backup/index.ts": "newer" } });
  const target = functionsTarget({ api: contract.api(), ownSlug: "backup" });
  const [step] = await target.plan(kept.items, signal);
  assert.equal(step?.hazards?.length, 1);
});
