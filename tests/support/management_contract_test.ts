import assert from "node:assert/strict";
import { z } from "zod";
import type { ManagementContract } from "./management_contract.ts";
import { CONTRACT_REF, startManagementContract } from "./management_contract.ts";
import { operationIds } from "./management/document.ts";

const FUNCTIONS = "/v1/projects/{ref}/functions";

function call() {
  return {
    to: "try the stand-in",
    permission: "edge_functions_read",
    answer: z.unknown(),
    signal: new AbortController().signal,
  };
}

function deployment(entrypoint: string, files: Record<string, string>) {
  return () => {
    const form = new FormData();
    const metadata = { entrypoint_path: entrypoint, name: "hello", verify_jwt: false };
    form.append("metadata", JSON.stringify(metadata));
    for (const [path, text] of Object.entries(files)) form.append("file", new Blob([text]), path);
    return form;
  };
}

async function expectViolation(
  contract: ManagementContract,
  work: () => Promise<unknown>,
  pattern: RegExp,
): Promise<void> {
  await assert.rejects(work, { code: /^management_(refused|not_found)$/ });
  assert.match(contract.violations.splice(0).join("\n"), pattern);
}

Deno.test("the stand-in's operations are the document's", async () => {
  await using contract = startManagementContract();
  const known = new Set(operationIds());
  for (const [name, resource] of Object.entries(contract.resources)) {
    for (const id of Object.keys(resource.handlers)) assert(known.has(id), `${name}: ${id}`);
  }
});

Deno.test("the stand-in refuses, and remembers, what the document does not allow", async () => {
  await using contract = startManagementContract();
  const api = contract.api();
  const cases: [() => Promise<unknown>, RegExp][] = [
    [() => api.get("/v1/projects/{ref}/nothing", call()), /no such operation/],
    [() => api.get(FUNCTIONS, { ...call(), query: { page: 2 } }), /unknown page/],
    [() => api.post(`${FUNCTIONS}/deploy`, call()), /a body is missing/],
    [
      () => api.post(`${FUNCTIONS}/deploy`, { ...call(), json: {} }),
      /application\/json is not known/,
    ],
    [
      () => api.patch(`${FUNCTIONS}/x`, { ...call(), json: { verify_jwt: "no" } }),
      /body\/verify_jwt must be boolean/,
    ],
    [
      () => api.patch(`${FUNCTIONS}/x`, { ...call(), json: { verifyJwt: true } }),
      /additional properties \(verifyJwt\)/,
    ],
    [() => api.get(`${FUNCTIONS}/a b`, call()), /function_slug must match pattern/],
    [
      () =>
        api.post(`${FUNCTIONS}/deploy`, {
          ...call(),
          form: () => {
            const form = new FormData();
            form.append("metadata", "{}");
            return form;
          },
        }),
      /must have required property 'entrypoint_path'/,
    ],
  ];
  for (const [work, pattern] of cases) await expectViolation(contract, work, pattern);
});

Deno.test("the stand-in's end fails after a violation", async () => {
  const contract = startManagementContract();
  await assert.rejects(contract.api().get("/v1/projects/{ref}/nothing", call()));
  await assert.rejects(contract.close(), /against the API's document/);
});

Deno.test("the stand-in knows one token, one project and the permissions of the token", async () => {
  await using contract = startManagementContract();
  await assert.rejects(contract.api({ projectRef: "b".repeat(20) }).get(FUNCTIONS, call()), {
    code: "management_forbidden",
  });
  contract.permissions = new Set(["edge_functions_read"]);
  await contract.api().get(FUNCTIONS, call());
  await assert.rejects(
    contract.api().delete(`${FUNCTIONS}/{function_slug}`, {
      ...call(),
      params: { function_slug: "hello" },
    }),
    { code: "management_forbidden" },
  );
  assert.deepEqual(contract.seen, [
    "GET v1-list-all-functions 403",
    "GET v1-list-all-functions 200",
    "DELETE v1-delete-a-function 403",
  ]);
  assert.equal(contract.api().projectRef, CONTRACT_REF);
});

Deno.test("the stand-in keeps what is deployed and fails as it is told", async () => {
  await using contract = startManagementContract();
  const api = contract.api({ tries: 2 });
  const form = deployment("hello/index.ts", { "hello/index.ts": "Deno.serve(…)" });
  const deploy = () =>
    api.post(`${FUNCTIONS}/deploy`, { ...call(), form, query: { slug: "hello" } });
  contract.fail("v1-deploy-a-function", "lost");
  await assert.rejects(deploy(), { code: "management_unavailable" });
  assert.equal(contract.resources.functions.functions.get("hello")?.version, 1);
  contract.fail("v1-deploy-a-function", { status: 503 }, { after: 1 });
  await deploy();
  assert.equal(contract.resources.functions.functions.get("hello")?.version, 2);
  await assert.rejects(deploy(), { code: "management_unavailable" });
  contract.fail("v1-list-all-functions", "silent", { times: 2 });
  await assert.rejects(api.get(FUNCTIONS, { ...call(), timeoutMs: 20 }), {
    code: "management_unavailable",
  });
  contract.fail("v1-list-all-functions", { text: "<html>" });
  await assert.rejects(api.get(FUNCTIONS, call()), { code: "management_malformed" });
  contract.fail("v1-list-all-functions", "cut");
  const [listed] = await api.get(FUNCTIONS, {
    ...call(),
    answer: z.array(z.object({ slug: z.string(), verify_jwt: z.boolean() })),
  });
  assert.deepEqual(listed, { slug: "hello", verify_jwt: false });
});
