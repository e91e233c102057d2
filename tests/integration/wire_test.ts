/**
 * The wire client against real servers: what a session that is open does. `wire_connect_test.ts` opens it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { DatabaseError } from "../../supabase/functions/backup/postgres/database_error.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { testServer } from "../support/servers.ts";

async function withSession(work: (session: Session, url: string) => Promise<void>) {
  const server = await testServer(17);
  const session = await connect({ url: server.url() });
  try {
    await work(session, server.url());
  } finally {
    await session.close();
  }
}

async function* slices(...all: Uint8Array[]): AsyncIterable<Uint8Array> {
  for (const slice of all) yield await Promise.resolve(slice);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

Deno.test("values come back by the types of their columns", () =>
  withSession(async (session) => {
    const [row] = await session.query(
      `SELECT true AS a, 1::int2 AS b, 4294967295::oid AS c, 'Infinity'::float8 AS d,
         9007199254740993::int8 AS e, '{"x": [1]}'::jsonb AS f, ARRAY['a b', NULL, 'NULL', '"', '\\'] AS g,
         '{}'::int[] AS h, 1.50::numeric AS i, NULL::int AS j, '{{1,2}}'::int[] AS k,
         E'\\uFEFFx'::text AS l, $1::text AS m, $2::bool AS n, $3::text AS o`,
      ["é☃'\\", false, null],
    );
    assert.deepEqual(row, {
      a: true,
      b: 1,
      c: 4294967295,
      d: Infinity,
      e: "9007199254740993",
      f: { x: [1] },
      g: ["a b", null, "NULL", '"', "\\"],
      h: [],
      i: "1.50",
      j: null,
      k: "{{1,2}}",
      l: "\uFEFFx",
      m: "é☃'\\",
      n: false,
      o: null,
    });
  }));

Deno.test("calls made at once are answered in turn", () =>
  withSession(async (session) => {
    const answers = await Promise.all(
      [1, 2, 3].map((number) => session.query("SELECT $1::int AS n", [number])),
    );
    assert.deepEqual(answers.flat().map((row) => row.n), [1, 2, 3]);
  }));

Deno.test("an error has the server's facts and none of the data, and the session goes on", () =>
  withSession(async (session) => {
    await session.execute("CREATE TEMP TABLE t (a int CONSTRAINT positive CHECK (a > 0))");
    await assert.rejects(session.execute("INSERT INTO t VALUES (-4711)"), (error) => {
      assert(error instanceof DatabaseError);
      assert.equal(error.sqlState, "23514");
      assert.equal(error.facts.constraint, "positive");
      assert(!JSON.stringify([error.message, error.details]).includes("4711"));
      return true;
    });
    await assert.rejects(session.query("SELECT 'secret-value'::int"), (error) => {
      assert(error instanceof DatabaseError);
      assert(!JSON.stringify([error.message, error.details]).includes("secret-value"));
      return true;
    });
    assert.deepEqual(await session.query("SELECT 1 AS one"), [{ one: 1 }]);
  }));

Deno.test("whoever asks in a transaction that is lost hears what it was lost by", () =>
  withSession(async (session) => {
    await session.execute("BEGIN");
    const asked = await Promise.allSettled([
      session.query("SELECT 1 / 0"),
      session.query("SELECT 1"),
      session.execute("SELECT 2"),
    ]);
    const states = asked.map((each) => each.status === "rejected" && each.reason.sqlState);
    assert.deepEqual(states, ["22012", "22012", "22012"]);
    await session.execute("ROLLBACK; BEGIN");
    await assert.rejects(session.query("SELECT nothing"), { sqlState: "42703" });
    await assert.rejects(session.query("SELECT 1"), { sqlState: "42703" });
    await session.execute("ROLLBACK");
    assert.deepEqual(await session.query("SELECT 1 AS one"), [{ one: 1 }]);
  }));

Deno.test("codes of the product follow SQLSTATE", () =>
  withSession(async (session, url) => {
    const other = await connect({ url });
    try {
      await other.execute("SELECT pg_advisory_lock(815)");
      await session.execute("SET lock_timeout = 10");
      const locked = await session.query("SELECT pg_advisory_lock(815)").catch((error) => error);
      assert.equal(locked.code, "lock_timeout");
      await session.execute("CREATE ROLE wire_test_role");
      await session.execute("SET ROLE wire_test_role");
      const refused = await session.execute("TABLE pg_catalog.pg_authid").catch((error) => error);
      assert.equal(refused.code, "insufficient_privilege");
    } finally {
      await session.execute("RESET ROLE; DROP ROLE IF EXISTS wire_test_role");
      await other.close();
    }
  }));

Deno.test("COPY gives and takes the same bytes, however they are cut", () =>
  withSession(async (session) => {
    const query = "SELECT i, repeat(chr(200 + i % 50), i % 300) FROM generate_series(1, 20000) i";
    const received: Uint8Array[] = [];
    const out = await session.copyOut(
      `COPY (${query}) TO STDOUT (FORMAT binary)`,
      (slice) => void received.push(slice.slice()),
    );
    assert.equal(out.rows, 20000);
    assert.equal(out.bytes, received.reduce((sum, slice) => sum + slice.length, 0));
    const whole = new Uint8Array(out.bytes);
    let at = 0;
    for (const slice of received) {
      whole.set(slice, at);
      at += slice.length;
    }
    await session.execute("CREATE TEMP TABLE t (i int, x text)");
    const cuts: Uint8Array[] = [];
    let size = 1;
    for (let from = 0; from < whole.length; from += size) {
      size = size * 3 % 100_003 + 1;
      cuts.push(whole.subarray(from, from + size));
    }
    const taken = await session.copyIn("COPY t FROM STDIN (FORMAT binary)", slices(...cuts));
    assert.deepEqual(taken, out);
    const [count] = await session.query(
      `SELECT count(*)::int AS n FROM ((${query}) EXCEPT TABLE t) AS lost`,
    );
    assert.equal(count!.n, 0);
  }));

Deno.test("a value of 200 MB is handed over in small slices and the next answer is right", () =>
  withSession(async (session) => {
    let largest = 0;
    const { bytes } = await session.copyOut(
      "COPY (SELECT repeat('0123456789', 20000000)) TO STDOUT",
      (slice) => void (largest = Math.max(largest, slice.length)),
    );
    assert.equal(bytes, 200_000_001);
    assert(largest <= 256 * 1024);
    assert.deepEqual(await session.query("SELECT 1 AS one"), [{ one: 1 }]);
  }));

Deno.test("failures inside a COPY leave the session usable", () =>
  withSession(async (session) => {
    await session.execute("CREATE TEMP TABLE t (a int)");
    await assert.rejects(
      session.copyOut(
        "COPY (SELECT 1 / (500000 - i) FROM generate_series(1, 600000) i) TO STDOUT",
        () => {},
      ),
      (error) => error instanceof DatabaseError && error.sqlState === "22012",
    );
    const mine = new Error("the reader gave up");
    await assert.rejects(
      session.copyOut("COPY (SELECT generate_series(1, 100000000)) TO STDOUT", () => {
        throw mine;
      }),
      mine,
    );
    await assert.rejects(
      session.copyIn("COPY t FROM STDIN", endless(text("no number\n"))),
      (error) => error instanceof DatabaseError && error.sqlState === "22P02",
    );
    await assert.rejects(
      session.copyIn("COPY t FROM STDIN", failing(text("1\n"), mine)),
      mine,
    );
    await assert.rejects(session.copyOut("SELECT 1", () => {}), { code: "internal" });
    await assert.rejects(session.copyIn("SELECT 1", slices()), { code: "internal" });
    await assert.rejects(session.execute("COPY t FROM STDIN"), DatabaseError);
    assert.deepEqual(await session.query("SELECT count(*)::int AS n FROM t"), [{ n: 0 }]);
    assert.equal(session.inTransaction, false);
  }));

async function* endless(slice: Uint8Array): AsyncIterable<Uint8Array> {
  while (true) yield await Promise.resolve(slice);
}

async function* failing(slice: Uint8Array, error: Error): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(slice);
  throw error;
}

Deno.test("several COPYs come in one round trip, each with its own end", () =>
  withSession(async (session) => {
    const copies: { text: string; rows: number; bytes: number }[] = [];
    let open = "";
    const sink = {
      data: (slice: Uint8Array) => void (open += new TextDecoder().decode(slice)),
      end: (result: { rows: number; bytes: number }) => {
        copies.push({ text: open, ...result });
        open = "";
      },
    };
    await session.copyOutEach([
      "COPY (SELECT 1 UNION ALL SELECT 2) TO STDOUT",
      "COPY (SELECT 1 WHERE false) TO STDOUT",
      "COPY (SELECT 'x') TO STDOUT",
    ], sink);
    assert.deepEqual(copies, [
      { text: "1\n2\n", rows: 2, bytes: 4 },
      { text: "", rows: 0, bytes: 0 },
      { text: "x\n", rows: 1, bytes: 2 },
    ]);
    copies.length = 0;
    const failing = ["COPY (SELECT 1) TO STDOUT", "COPY (SELECT 1 / 0) TO STDOUT"];
    await assert.rejects(session.copyOutEach(failing, sink), DatabaseError);
    assert.equal(copies.length, 1);
    await assert.rejects(
      session.copyOutEach(["COPY (SELECT 1) TO STDOUT", "SELECT 1"], sink),
      { code: "internal" },
    );
    const stop = () => {
      throw new Error("enough");
    };
    const endless = "COPY (SELECT generate_series(1, 100000000)) TO STDOUT";
    await assert.rejects(
      session.copyOutEach([endless, endless], { data: stop, end: () => {} }),
      /enough/,
    );
    assert.deepEqual(await session.query("SELECT 1 AS one"), [{ one: 1 }]);
  }));

Deno.test("data moves in the server's encoding, SQL text does not lose a character", async () => {
  const server = await testServer(17);
  const admin = await connect({ url: server.url() });
  const cases = [
    { encoding: "LATIN1", name: "é", bytes: [0xe9, 0x0a] },
    { encoding: "SQL_ASCII", name: "\xff\xfe", bytes: [0xff, 0xfe, 0x0a] },
    { encoding: "MULE_INTERNAL", name: "\x81\xe9", bytes: [0x81, 0xe9, 0x0a] },
  ];
  try {
    for (const { encoding, name, bytes } of cases) {
      const database = `wire_${encoding.toLowerCase()}`;
      await admin.execute(`DROP DATABASE IF EXISTS ${database}`);
      await admin.execute(
        `CREATE DATABASE ${database} TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C'`,
      );
      const session = await connect({ url: server.url(database) });
      assert.equal(session.sqlText, encoding === "LATIN1" ? "utf8" : "bytes");
      await session.execute(`CREATE TABLE "${name}" ("${name}" text)`);
      await session.copyIn(`COPY "${name}" FROM STDIN`, slices(new Uint8Array(bytes)));
      const out: number[] = [];
      for (const format of ["text", "binary"]) {
        out.length = 0;
        await session.copyOut(
          `COPY "${name}" TO STDOUT (FORMAT ${format})`,
          (slice) => void out.push(...slice),
        );
        const at = format === "text" ? 0 : 11 + 8 + 2 + 4;
        assert.deepEqual(out.slice(at, at + bytes.length - 1), bytes.slice(0, -1));
      }
      assert.deepEqual(await session.query(`TABLE "${name}"`), [{ [name]: name }]);
      await session.close();
      await admin.execute(`DROP DATABASE ${database}`);
    }
  } finally {
    await admin.close();
  }
});

Deno.test("questions go out before earlier answers are in, and each has its own answer or error", () =>
  withSession(async (session) => {
    const bytes = text("long ".repeat(100_000));
    let copied = 0;
    const [first, failed, long, , after, late] = await Promise.allSettled([
      session.query("SELECT pg_sleep(0.05), 1 AS one"),
      session.query("SELECT 1 / 0"),
      session.query("SELECT repeat('long ', 100000) AS long, $1::int4 AS two", [2]),
      session.copyOut(
        "COPY (SELECT repeat('x', 1000)) TO STDOUT",
        (slice) => void (copied += slice.length),
      ),
      session.execute("SET application_name TO 'asked last'"),
      session.query("SHOW application_name"),
    ]);
    assert.ok(first.status === "fulfilled" && first.value[0]!.one === 1);
    assert.ok(failed.status === "rejected" && failed.reason.sqlState === "22012");
    assert.ok(long.status === "fulfilled");
    assert.equal(long.value[0]!.long.length, bytes.length);
    assert.equal(long.value[0]!.two, 2);
    assert.equal(copied, 1001);
    assert.equal(after.status, "fulfilled");
    assert.ok(late.status === "fulfilled");
    assert.deepEqual(late.value, [{ application_name: "asked last" }]);
  }));

Deno.test("of questions that wait, all fail when the connection is cut, and a text with a NUL fails alone", () =>
  withSession(async (session) => {
    const [nul, fine] = await Promise.allSettled([
      session.query("SELECT '\0'"),
      session.query("SELECT 1 AS one"),
    ]);
    assert.ok(nul.status === "rejected" && nul.reason.code === "internal");
    assert.ok(fine.status === "fulfilled");
    const ends = await Promise.allSettled([
      session.query("SELECT pg_terminate_backend(pg_backend_pid())"),
      session.query("SELECT 1"),
      session.execute("SELECT 2"),
    ]);
    for (const end of ends) {
      assert.ok(end.status === "rejected" && end.reason.code === "database_unreachable");
    }
  }));

Deno.test("cancel ends what runs, and only that", () =>
  withSession(async (session, url) => {
    const sleeping = session.query("SELECT pg_sleep(600)").catch((error) => error);
    await untilActive(url, session.backendPid);
    await session.cancel();
    const error = await sleeping;
    assert(error instanceof DatabaseError);
    assert.equal(error.code, "cancelled");
    assert.deepEqual(await session.query("SELECT 1 AS one"), [{ one: 1 }]);
  }));

/** Looks until the backend runs a statement; a cancel that comes earlier would hit nothing. */
async function untilActive(url: string, backendPid: number): Promise<void> {
  const observer = await connect({ url });
  let state = "";
  while (state !== "active") {
    const rows = await observer.query(
      "SELECT state FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%pg_sleep(600)%'",
      [backendPid],
    );
    state = rows[0]?.state ?? "";
  }
  await observer.close();
}

Deno.test("a backend that is ended is database_unreachable, then and afterwards", () =>
  withSession(async (session, url) => {
    const other = await connect({ url });
    const sleeping = session.query("SELECT pg_sleep(600)").catch((error) => error);
    await untilActive(url, session.backendPid);
    await other.query("SELECT pg_terminate_backend($1)", [session.backendPid]);
    await other.close();
    const error = await sleeping;
    assert.equal(error.code, "database_unreachable");
    await assert.rejects(session.query("SELECT 1"), { code: "database_unreachable" });
  }));

Deno.test("pinned settings hold", () =>
  withSession(async (session) => {
    await session.execute("SET DateStyle TO 'SQL, DMY'; SET search_path TO public");
    await pinSettings(session);
    const [row] = await session.query(
      `SELECT '2020-02-01'::pg_catalog.date::pg_catalog.text AS day, current_schemas(false) AS path`,
    );
    assert.deepEqual(row, { day: "2020-02-01", path: [] });
  }));
