/**
 * The wire client against real servers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startPostgres } from "../../scripts/embedded_postgres.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { DatabaseError } from "../../supabase/functions/backup/postgres/database_error.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
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

Deno.test("what is no PostgreSQL server is named as such", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const answering = (async () => {
    for (const answer of ["HTTP/1.1 400 Bad Request\r\n\r\n", "R\0\0\0\x03"]) {
      const socket = await listener.accept();
      await socket.read(new Uint8Array(1024));
      await socket.write(text(answer));
      socket.close();
    }
  })();
  const url = `postgres://a:b@127.0.0.1:${port}/c?sslmode=disable`;
  await assert.rejects(connect({ url }), { code: "database_protocol" });
  await assert.rejects(connect({ url }), { code: "database_protocol" });
  await answering;
  listener.close();
  await assert.rejects(connect({ url }), { code: "database_unreachable" });
});

Deno.test("a server that never answers is given up", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const accepting = listener.accept();
  await assert.rejects(
    connect({ url: `postgres://a@127.0.0.1:${port}/b`, connectTimeoutMs: 50 }),
    { code: "database_unreachable" },
  );
  (await accepting).close();
  listener.close();
});

Deno.test("passwords by SCRAM and md5, TLS by sslmode, and the unix socket", async () => {
  const password = 'pä ss:/?#@"';
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-wire-" });
  const server = await startPostgres({ major: 17, password, dataDirectory: folder });
  const session = async (parameters: string, use?: string) => {
    const opened = await connect({
      url: `${server.url("postgres", "postgres", use)}${parameters}`,
    });
    const [row] = await opened.query(
      "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    );
    await opened.close();
    return row!.ssl as boolean;
  };
  try {
    assert.equal(await session(""), false);
    const anywhere = server.url().replace("127.0.0.1", "0.0.0.0");
    const remote = await connect({ url: anywhere });
    assert.equal(remote.inClear, true, "an address that could be that of any machine");
    await remote.close();
    const remoteState = new State(new Secret(anywhere));
    await remoteState.migrate();
    await remoteState.close();
    await assert.rejects(session("", "wrong"), { code: "database_unreachable" });
    await assert.rejects(session("?sslmode=require"), { code: "database_unreachable" });

    const admin = await connect({ url: server.url() });
    assert.equal(admin.inClear, false, "nobody is on the way");
    await admin.execute("SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'it''s'");
    await admin.close();
    const hba = `${server.dataDirectory}/pg_hba.conf`;
    await Deno.writeTextFile(hba, `host all old all md5\n${await Deno.readTextFile(hba)}`);
    const authority = await makeCertificates(server.dataDirectory);
    await server.stop();
    await server.start();

    const old = await connect({ url: server.url("postgres", "old", "it's") });
    await old.close();
    assert.equal(await session("?sslmode=disable"), false);
    assert.equal(await session(`?sslmode=verify-full&sslrootcert=${authority}`), true);
    for (const mode of ["require", "prefer", "verify-ca"]) {
      assert.equal(await session(`?sslmode=${mode}&sslrootcert=${authority}`), true, mode);
    }
    await assert.rejects(session("?sslmode=verify-full"), { code: "database_unreachable" });
    const otherName = server.url().replace("127.0.0.1", "localhost");
    await assert.rejects(
      connect({ url: `${otherName}?sslmode=verify-full&sslrootcert=${authority}` }),
      { code: "database_unreachable", message: /Cannot trust the database/ },
    );
    const checked = `${server.url()}?sslmode=verify-full&sslrootcert=${authority}`;
    const state = new State(new Secret(checked));
    await state.migrate();
    await state.close();
    const mistrusting = new State(new Secret(`${server.url()}?sslmode=verify-full`));
    await assert.rejects(mistrusting.migrate(), { code: "database_unreachable" });
    await mistrusting.close();
    // An authority that nobody named: new runtimes go on without a check, old ones always check.
    if (Deno.version.deno.startsWith("2.1.")) {
      await assert.rejects(session("?sslmode=require"), {
        code: "database_unreachable",
        hint: /sslrootcert/,
      });
      assert.equal(await session("?sslmode=prefer"), false, "prefer does without TLS");
    } else {
      assert.equal(await session("?sslmode=require"), true);
      assert.equal(await session("?sslmode=prefer"), true);
    }

    const byPath = await connect({
      url: `postgres://postgres:${encodeURIComponent(password)}@/postgres?host=${
        encodeURIComponent(folder)
      }&port=${server.port}`,
    });
    assert.deepEqual(await byPath.query("SELECT 1 AS one"), [{ one: 1 }]);
    await byPath.close();
  } finally {
    await server[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  }
});

/** Gives the server a certificate of an authority made here; returns that authority's file. */
async function makeCertificates(dataDirectory: string): Promise<string> {
  const openssl = async (...args: string[]) => {
    const output = await new Deno.Command("openssl", { args, cwd: dataDirectory }).output();
    if (!output.success) throw new BackupError("internal", new TextDecoder().decode(output.stderr));
  };
  await openssl(...`req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority
    -keyout authority.key -out authority.pem`.split(/\s+/));
  await openssl(...`req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key
    -out server.csr`.split(/\s+/));
  await Deno.writeTextFile(`${dataDirectory}/names`, "subjectAltName=IP:127.0.0.1\n");
  await openssl(...`x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial
    -days 2 -extfile names -out server.crt`.split(/\s+/));
  const owner = await Deno.stat(`${dataDirectory}/PG_VERSION`);
  for (const name of ["server.key", "server.crt"]) {
    const path = `${dataDirectory}/${name}`;
    await Deno.chmod(path, 0o600);
    if (owner.uid !== null) await Deno.chown(path, owner.uid, owner.gid);
  }
  await Deno.writeTextFile(`${dataDirectory}/postgresql.conf`, "\nssl = on\n", { append: true });
  return `${dataDirectory}/authority.pem`;
}
