import assert from "node:assert/strict";
import { z } from "zod";
import type { Clock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import { managementApi, type ManagementApiOptions } from "./management_api.ts";

const TOKEN = "sbp_0123456789abcdef";
const REF = "abcdefghijklmnopqrst";
const PATH = "/v1/projects/{ref}/functions";

/** A clock that only moves when somebody sleeps, and that remembers how long. */
function patientClock(): Clock & { slept: number[] } {
  let nowMs = Date.UTC(2026, 0, 1);
  const slept: number[] = [];
  return {
    slept,
    now: () => new Date(nowMs),
    sleep(ms, signal) {
      signal?.throwIfAborted();
      slept.push(ms);
      nowMs += ms;
      return Promise.resolve();
    },
  };
}

type Answer = (request: Request) => Response | Promise<Response>;

/** Runs a test against a server that gives these answers in turn, the last one for ever. */
async function withServer(
  answers: Answer[],
  run: (given: {
    open(options?: Partial<ManagementApiOptions>): ReturnType<typeof managementApi>;
    clock: ReturnType<typeof patientClock>;
    seen: { url: string; method: string; headers: Headers; body: string }[];
  }) => Promise<void>,
): Promise<void> {
  const seen: { url: string; method: string; headers: Headers; body: string }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const answer = answers[Math.min(seen.length, answers.length - 1)] as Answer;
    seen.push({
      url: pathname + search,
      method: request.method,
      headers: request.headers,
      body: await request.text(),
    });
    return await answer(request);
  });
  const clock = patientClock();
  const open = (options: Partial<ManagementApiOptions> = {}) =>
    managementApi({
      baseUrl: `http://127.0.0.1:${server.addr.port}`,
      projectRef: REF,
      token: new Secret(TOKEN),
      clock,
      ...options,
    });
  try {
    await run({ open, clock, seen });
  } finally {
    await server.shutdown();
  }
}

function listing() {
  return {
    to: "list the functions",
    permission: "edge_functions_read",
    answer: z.array(z.object({ slug: z.string() })),
    signal: new AbortController().signal,
  };
}

function status(code: number, headers: Record<string, string> = {}, body = "{}"): Answer {
  return () => new Response(body, { status: code, headers });
}

const good: Answer = () => Response.json([{ slug: "hello", more: 1 }]);

async function failure(work: Promise<unknown>): Promise<BackupError> {
  const error = await work.then(() => null, (error) => error);
  assert(error instanceof BackupError, String(error));
  assert(!JSON.stringify([error.message, error.hint, error.details]).includes(TOKEN));
  return error;
}

Deno.test("managementApi() fills the path, sends the token and gives the fields that are asked for", () =>
  withServer([good], async ({ open, seen }) => {
    const api = open();
    assert.deepEqual(await api.get(PATH, { ...listing(), query: { reveal: true } }), [{
      slug: "hello",
    }]);
    assert.equal(seen[0]?.url, `/v1/projects/${REF}/functions?reveal=true`);
    assert.equal(seen[0]?.headers.get("authorization"), `Bearer ${TOKEN}`);
    await api.patch("/v1/projects/{ref}/functions/{function_slug}", {
      ...listing(),
      params: { function_slug: "a b/ä" },
      json: { verify_jwt: false },
    });
    assert.equal(seen[1]?.url, `/v1/projects/${REF}/functions/a%20b%2F%C3%A4`);
    assert.equal(seen[1]?.body, '{"verify_jwt":false}');
    assert.equal(seen[1]?.headers.get("content-type"), "application/json");
  }));

Deno.test("managementApi() sends multipart and raw bodies", () =>
  withServer([good], async ({ open, seen }) => {
    const form = () => {
      const data = new FormData();
      data.append("file", new Blob(["source"]), "a/index.ts");
      return data;
    };
    await open().post(PATH, { ...listing(), form });
    assert.match(seen[0]?.headers.get("content-type") ?? "", /^multipart\/form-data; boundary=/);
    assert.match(seen[0]?.body ?? "", /filename="a\/index.ts"/);
    const bytes = { type: "application/vnd.denoland.eszip", body: new Uint8Array([69, 90]) };
    await open().patch(PATH, { ...listing(), bytes });
    assert.equal(seen[1]?.headers.get("content-type"), bytes.type);
    assert.equal(seen[1]?.body, "EZ");
  }));

Deno.test("managementApi() refuses a name that would lead to another path", () =>
  withServer([good], async ({ open, seen }) => {
    for (const slug of ["", ".", ".."]) {
      const error = await failure(
        open().get("/v1/x/{slug}/body", { ...listing(), params: { slug } }),
      );
      assert.equal(error.code, "invalid_request");
    }
    assert.equal(seen.length, 0);
  }));

const REFUSALS = [
  [400, "management_refused"],
  [401, "management_unauthorized"],
  [402, "management_refused"],
  [403, "management_forbidden"],
  [404, "management_not_found"],
  [409, "management_refused"],
  [302, "management_refused"],
] as const;
for (const [code, expected] of REFUSALS) {
  Deno.test(`managementApi() tells a ${code} as ${expected}, at once`, () =>
    withServer([
      status(
        code,
        { location: "http://127.0.0.1:1/" },
        `{"message":"no ${TOKEN} good"}`,
      ),
    ], async ({ open, seen }) => {
      const error = await failure(open().get(PATH, listing()));
      assert.equal(error.code, expected);
      assert.match(error.message, /^Cannot list the functions of project abc/);
      assert.match(error.message, /no \*\*\* good/);
      assert.equal(seen.length, 1);
      if (code === 401 || code === 403) assert.match(error.hint ?? "", /edge_functions_read/);
    }));
}

Deno.test("managementApi() does not quote the server about a sensitive call", () =>
  withServer([status(400, {}, '{"message":"hunter2 is too short"}')], async ({ open }) => {
    const error = await failure(open().post(PATH, { ...listing(), sensitive: true }));
    assert(!error.message.includes("hunter2"));
  }));

Deno.test("managementApi() waits as long as a 429 asks, for a POST too", () =>
  withServer([
    status(429, { "retry-after": "17" }),
    status(429, { "x-ratelimit-reset": "21" }),
    status(429, { "retry-after": "Thu, 01 Jan 2026 00:00:43 GMT" }),
    good,
  ], async ({ open, clock, seen }) => {
    await open().post(PATH, listing());
    assert.equal(seen.length, 4);
    assert.deepEqual(clock.slept, [17_000, 21_000, 5_000]);
  }));

Deno.test("managementApi() gives up on a server that asks for more patience than it has", () =>
  withServer([status(429, { "retry-after": "3600" })], async ({ open, clock, seen }) => {
    const error = await failure(open().get(PATH, listing()));
    assert.equal(error.code, "management_unavailable");
    assert.equal(seen.length, 1);
    assert.deepEqual(clock.slept, []);
  }));

Deno.test("managementApi() tries failures of the server again, longer each time, and not for ever", () =>
  withServer([status(500), status(503, { "retry-after": "9" }), good], async (given) => {
    await given.open().get(PATH, listing());
    assert.equal(given.clock.slept.length, 2);
    assert.equal(given.clock.slept[1], 9000);
  }).then(() =>
    withServer([status(503)], async ({ open, clock, seen }) => {
      const error = await failure(open().get(PATH, listing()));
      assert.equal(error.code, "management_unavailable");
      assert.equal(seen.length, 5);
      assert(clock.slept.every((ms, at) => ms >= 250 * 2 ** at && ms <= 500 * 2 ** at));
    })
  ));

Deno.test("managementApi() never repeats a POST that may have happened, unless it may", () =>
  withServer([status(502)], async ({ open, seen }) => {
    const error = await failure(open().post(PATH, listing()));
    assert.match(error.hint ?? "", /may have been done/);
    assert.equal(seen.length, 1);
    await failure(open({ tries: 2 }).post(PATH, { ...listing(), repeatable: true }));
    assert.equal(seen.length, 3);
  }));

/** Closes the connection in place of an answer. */
const cut: Answer = () =>
  new Response(new ReadableStream({ pull: (controller) => controller.error(new Error("cut")) }));

Deno.test("managementApi() asks again for an answer that was cut off, but not by a POST", () =>
  withServer([cut, good], async ({ open, seen }) => {
    assert.deepEqual(await open().get(PATH, listing()), [{ slug: "hello" }]);
    assert.equal(seen.length, 2);
  }).then(() =>
    withServer([cut], async ({ open, seen }) => {
      const error = await failure(open().post(PATH, listing()));
      assert.equal(error.code, "management_unavailable");
      assert.equal(seen.length, 1);
    })
  ));

Deno.test("managementApi() tells of a host that does not answer", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const api = managementApi({
    baseUrl: `http://127.0.0.1:${port}`,
    projectRef: REF,
    token: new Secret(TOKEN),
    clock: patientClock(),
  });
  const error = await failure(api.get(PATH, listing()));
  assert.equal(error.code, "management_unavailable");
  assert.match(error.message, new RegExp(`no whole answer from http://127.0.0.1:${port}`));
});

Deno.test("managementApi() gives up on silence", async () => {
  const never = Promise.withResolvers<Response>();
  await withServer([() => never.promise], async ({ open }) => {
    const error = await failure(open({ tries: 2 }).get(PATH, { ...listing(), timeoutMs: 20 }));
    assert.equal(error.code, "management_unavailable");
    assert.match(error.message, /nothing came/);
    never.resolve(new Response());
  });
});

Deno.test("managementApi() stops when it is told to, with that reason", async () => {
  const never = Promise.withResolvers<Response>();
  const stop = new AbortController();
  const answer = () => {
    stop.abort(new Error("cancelled by hand"));
    return never.promise;
  };
  await withServer([answer], async ({ open, seen }) => {
    await assert.rejects(
      open().get(PATH, { ...listing(), signal: stop.signal }),
      /cancelled by hand/,
    );
    assert.equal(seen.length, 1);
    never.resolve(new Response());
  });
});

const BAD_ANSWERS: [string, Answer, RegExp][] = [
  ["a page of HTML", () => new Response("<html>secret</html>"), /is not JSON/],
  ["broken UTF-8", () => new Response(new Uint8Array([34, 255, 34])), /is not JSON/],
  ["an empty body", () => new Response(null), /not as documented at the whole/],
  ["other fields", () => Response.json([{ slug: 3 }]), /not as documented at 0\.slug/],
  ["too many bytes", () => Response.json([{ slug: "x".repeat(2000) }]), /longer than 1000 bytes/],
];
for (const [what, answer, message] of BAD_ANSWERS) {
  Deno.test(`managementApi() refuses ${what} in place of the answer`, () =>
    withServer([answer], async ({ open, seen }) => {
      const error = await failure(open().get(PATH, { ...listing(), maxBytes: 1000 }));
      assert.equal(error.code, "management_malformed");
      assert.match(error.message, message);
      assert(!error.message.includes("secret"));
      assert.equal(seen.length, 1);
    }));
}

Deno.test("managementApi() sends no more than its limit in any minute", () =>
  withServer([good], async ({ open, clock }) => {
    const api = open({ limit: { requests: 3, windowMs: 60_000 } });
    await Promise.all(Array.from({ length: 7 }, () => api.get(PATH, listing())));
    assert.deepEqual(clock.slept, [60_000, 60_000]);
  }));

Deno.test("managementApi() waits when the server says that nothing is left", () =>
  withServer([
    () =>
      Response.json([], { headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "8" } }),
    good,
  ], async ({ open, clock }) => {
    const api = open();
    await api.get(PATH, listing());
    await api.get(PATH, listing());
    assert.deepEqual(clock.slept, [8_000]);
  }));

Deno.test("managementApi() gives bytes whole, and as they come", () =>
  withServer(
    [cut, () => new Response("bundle", { headers: { "content-type": "application/x" } })],
    async ({ open }) => {
      const { to, permission, signal } = listing();
      const call = { to, permission, signal, accept: "application/x" };
      const whole = await open().bytes(PATH, call);
      assert.equal(whole.contentType, "application/x");
      assert.equal(new TextDecoder().decode(whole.body), "bundle");
      const chunks = [];
      for await (const chunk of (await open().download(PATH, call)).body) chunks.push(...chunk);
      assert.equal(new TextDecoder().decode(new Uint8Array(chunks)), "bundle");
    },
  ));

Deno.test("managementApi() does not hide that a download was cut off, or an answer of JSON", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const api = managementApi({
    baseUrl: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    projectRef: REF,
    token: new Secret(TOKEN),
    clock: patientClock(),
    tries: 1,
  });
  const half = async () => {
    const connection = await listener.accept();
    await connection.read(new Uint8Array(4096));
    const answer = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[{";
    await connection.write(new TextEncoder().encode(answer));
    connection.close();
  };
  const { to, permission, signal } = listing();
  const read = async () => {
    for await (const _ of (await api.download(PATH, { to, permission, signal })).body);
  };
  for (const work of [read, () => api.get(PATH, listing())]) {
    const [error] = await Promise.all([failure(work()), half()]);
    assert.equal(error.code, "management_unavailable");
  }
  listener.close();
});

Deno.test("managementApi() sends a token over https or to this machine, and only what can be one", () => {
  const open = (baseUrl: string, token = TOKEN) =>
    managementApi({ baseUrl, projectRef: REF, token: new Secret(token) });
  for (const url of ["https://api.example.com", "http://localhost:1", "http://[::1]:1/base/"]) {
    open(url);
  }
  for (
    const url of ["http://api.example.com", "ftp://localhost", "nonsense", "https://a:b@c.com"]
  ) {
    assert.throws(() => open(url), { code: "invalid_config" });
  }
  for (const token of ["", "with space", "line\n", "ünlike"]) {
    assert.throws(
      () => open("https://api.example.com", token),
      (error: BackupError) =>
        error.code === "invalid_config" && (token === "" || !error.message.includes(token)),
    );
  }
});
