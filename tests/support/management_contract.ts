/**
 * A stand-in of Supabase's Management API: a real HTTP server that allows what the API's OpenAPI document
 * allows, holds the state of one project, and can be made to fail.
 *
 * A request or an answer against the document is remembered, and {@linkcode ManagementContract.close}
 * throws them all: no test passes with one.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Clock } from "../../supabase/functions/backup/core/clock.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import {
  type ManagementApi,
  managementApi,
  type ManagementApiOptions,
} from "../../supabase/functions/backup/project/mod.ts";
import {
  type ContractAnswer,
  type ContractRequest,
  type Fault,
  type Handler,
  type PlannedFault,
  Refusal,
} from "./management/contract_types.ts";
import { checkAnswer, checkRequest, findOperation, type Operation } from "./management/document.ts";
import { functionsState } from "./management/functions_state.ts";
import { configState } from "./management/config_state.ts";
import { projectState } from "./management/project_state.ts";
import { secretsState } from "./management/secrets_state.ts";

/** Ref of the stand-in's project. */
export const CONTRACT_REF = "abcdefghijklmnopqrst";

/** A token that the stand-in knows. */
export const CONTRACT_TOKEN = "sbp_0123456789abcdef0123456789abcdef01234567";

/** See {@linkcode startManagementContract}. */
export interface ManagementContract extends AsyncDisposable {
  url: string;
  projectRef: string;
  /** State by resource; one file each in `management/`. */
  resources: ReturnType<typeof resourcesOf>;
  /** Requests so far, as `GET v1-list-all-functions 200`. */
  seen: string[];
  /** What was against the document so far. */
  violations: string[];
  /** Permissions of the token; null means all. */
  permissions: Set<string> | null;
  /** A client of this server that does not really wait. */
  api(options?: Partial<ManagementApiOptions>): ManagementApi;
  /** Makes the next requests of an operation fail, after some that pass. */
  fail(operation: string, fault: Fault, options?: { times?: number; after?: number }): void;
  /** Ends all failures that are still to come. */
  heal(): void;
  /** Stops the server. @throws when something was against the document */
  close(): Promise<void>;
}

function resourcesOf(projectRef: string) {
  return {
    project: projectState(projectRef),
    functions: functionsState(),
    config: configState(projectRef),
    secrets: secretsState(projectRef),
  };
}

/** Starts a stand-in with an empty project. */
export function startManagementContract(
  { projectRef = CONTRACT_REF }: { projectRef?: string } = {},
): ManagementContract {
  const resources = resourcesOf(projectRef);
  // Looked up anew each time, so that a test can put its own handler in the place of another.
  const handlerOf = (id: string): Handler | undefined =>
    Object.values(resources).flatMap(({ handlers }) => handlers[id] ?? [])[0];
  const faults: PlannedFault[] = [];
  const stopped = Promise.withResolvers<Response>();

  async function serve(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const bytes = new Uint8Array(await request.arrayBuffer());
    const operation = findOperation(request.method, url.pathname);
    const about = `${request.method} ${operation?.id ?? url.pathname}`;
    const fault = operation === null ? null : takeFault(faults, operation);
    if (fault === "silent") return await stopped.promise;
    const answer = await answerTo(request, { url, bytes, operation, fault });
    contract.seen.push(`${about} ${answer.status}`);
    return fault === "cut" || fault === "lost" ? await cutShort(answer) : answer;
  }

  async function answerTo(
    request: Request,
    { url, bytes, operation, fault }: {
      url: URL;
      bytes: Uint8Array;
      operation: Operation | null;
      fault: Fault | null;
    },
  ): Promise<Response> {
    const about = `${request.method} ${url.pathname}${url.search}`;
    if (operation === null) {
      contract.violations.push(`${about}: no such operation`);
      return refuse(404, `Cannot ${about}`);
    }
    if (request.headers.get("authorization") !== `Bearer ${CONTRACT_TOKEN}`) {
      return refuse(401, "Unauthorized");
    }
    const read = await readBody(request.headers, bytes);
    const problems = [
      ...checkRequest(operation, { query: url.searchParams, ...read }),
      ...(handlerOf(operation.id) === undefined ? ["the stand-in does not have it"] : []),
    ];
    if (problems.length > 0) {
      contract.violations.push(...problems.map((problem) => `${about}: ${problem}`));
      return refuse(400, problems.join("; "));
    }
    const lacking = operation.permissions.filter((one) => contract.permissions?.has(one) === false);
    if (lacking.length > 0 || operation.params.ref !== projectRef) {
      return refuse(403, "Forbidden resource");
    }
    if (typeof fault === "object" && fault !== null) return failing(fault);
    return await handle(operation, {
      params: operation.params,
      query: url.searchParams,
      headers: request.headers,
      json: read.mediaType === "application/json" ? read.body : null,
      form: read.form,
      bytes,
    });
  }

  async function handle(operation: Operation, request: ContractRequest): Promise<Response> {
    let answer: ContractAnswer;
    try {
      answer = await (handlerOf(operation.id) as Handler)(request);
    } catch (error) {
      if (error instanceof Refusal) return refuse(error.status, error.message);
      contract.violations.push(`${operation.id}: the stand-in fails: ${error}`);
      return refuse(500, "Internal server error");
    }
    const documented = Object.keys(operation.node.responses).map(Number);
    const status = answer.status ?? documented.find((code) => code < 300) ?? 200;
    for (const problem of checkAnswer(operation, { status, json: answer.json })) {
      contract.violations.push(`${operation.id}: ${problem}`);
    }
    const headers = new Headers({ ...limits(), ...answer.headers });
    if (answer.json === undefined) {
      return new Response((answer.bytes ?? null) as BodyInit, { status, headers });
    }
    return Response.json(answer.json, { status, headers });
  }

  const stop = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen() {} },
    serve,
  );
  const contract: ManagementContract = {
    url: `http://127.0.0.1:${server.addr.port}`,
    projectRef,
    resources,
    seen: [],
    violations: [],
    permissions: null,
    api: (options = {}) =>
      managementApi({
        baseUrl: contract.url,
        projectRef,
        token: new Secret(CONTRACT_TOKEN),
        clock: hastyClock(),
        ...options,
      }),
    fail(operation, fault, { times = 1, after = 0 } = {}) {
      faults.push({ operation, fault, times, after });
    },
    heal() {
      faults.length = 0;
    },
    async close() {
      stopped.resolve(new Response(null, { status: 503 }));
      // An orderly end would wait minutes for connections that clients keep.
      stop.abort();
      await server.finished;
      assert.deepEqual(contract.violations, [], "requests or answers against the API's document");
    },
    [Symbol.asyncDispose]: () => contract.close(),
  };
  return contract;
}

function takeFault(faults: PlannedFault[], operation: Operation): Fault | null {
  const planned = faults.find((one) => one.operation === operation.id && one.times > 0);
  if (planned === undefined) return null;
  if (planned.after > 0) {
    planned.after -= 1;
    return null;
  }
  planned.times -= 1;
  return planned.fault;
}

function failing(fault: Exclude<Fault, string>): Response {
  if ("text" in fault) {
    return new Response(fault.text, { headers: { "content-type": fault.type ?? "text/html" } });
  }
  return refuse(fault.status, fault.message ?? "A fault was asked for", fault.headers);
}

function refuse(status: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ message }, { status, headers: { ...limits(), ...headers } });
}

/** As the API tells with each answer. */
function limits(): Record<string, string> {
  return {
    "x-ratelimit-limit": "120",
    "x-ratelimit-remaining": "119",
    "x-ratelimit-reset": "60",
  };
}

/** The same head, and a connection that ends in the middle of the body. */
async function cutShort(answer: Response): Promise<Response> {
  const bytes = new Uint8Array(await answer.arrayBuffer());
  let begun = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (begun) return controller.error(new Error("cut"));
      controller.enqueue(bytes.subarray(0, Math.max(1, bytes.length >> 1)));
      begun = true;
    },
  });
  return new Response(body, { status: answer.status, headers: answer.headers });
}

async function readBody(
  headers: Headers,
  bytes: Uint8Array,
): Promise<{ mediaType: string; body: unknown; form: FormData | null }> {
  const type = headers.get("content-type") ?? "";
  const mediaType = bytes.length === 0 ? "" : type.replace(/;.*$/, "").trim().toLowerCase();
  if (mediaType === "application/json") {
    try {
      return { mediaType, body: JSON.parse(new TextDecoder().decode(bytes)), form: null };
    } catch {
      return { mediaType, body: undefined, form: null };
    }
  }
  if (mediaType !== "multipart/form-data") return { mediaType, body: null, form: null };
  const form = await new Response(bytes as BodyInit, { headers: { "content-type": type } })
    .formData();
  return { mediaType, body: formFields(form), form };
}

/** A form as the document's schemas see it: files as a list of strings, other fields as the JSON they hold. */
function formFields(form: FormData): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const name of new Set(form.keys())) {
    const values = form.getAll(name);
    if (values.every((value) => value instanceof File)) {
      fields[name] = values.map((file) => file.name);
    } else fields[name] = JSON.parse(String(values[0]));
  }
  return fields;
}

/** Time that passes as soon as somebody waits for it. */
export function hastyClock(): Clock {
  let nowMs = Date.UTC(2026, 0, 1);
  return {
    now: () => new Date(nowMs),
    sleep(ms, signal) {
      signal?.throwIfAborted();
      nowMs += ms;
      return Promise.resolve();
    },
  };
}
