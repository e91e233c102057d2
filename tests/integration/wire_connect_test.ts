/**
 * The wire client against real servers: who is let in, by which password and over which line, and what is
 * said of those that are no servers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startPostgres } from "../../scripts/embedded_postgres.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { makeCertificates } from "../support/server_certificates.ts";

Deno.test("what is no PostgreSQL server is named as such", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const answering = (async () => {
    for (const answer of ["HTTP/1.1 400 Bad Request\r\n\r\n", "R\0\0\0\x03"]) {
      const socket = await listener.accept();
      await socket.read(new Uint8Array(1024));
      await socket.write(new TextEncoder().encode(answer));
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
    await copyThere(opened);
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

/** Rows go out and in again as they are, also more of them than a TLS record or a read of the socket holds. */
async function copyThere(session: Session): Promise<void> {
  const slices: Uint8Array[] = [];
  await session.copyOut(
    "COPY (SELECT i, repeat(md5(i::text), 50) FROM generate_series(1, 300) i) TO STDOUT (FORMAT binary)",
    (slice) => void slices.push(slice.slice()),
  );
  await session.execute("CREATE TEMPORARY TABLE copied (i int, words text)");
  await session.copyIn("COPY copied FROM STDIN (FORMAT binary)", ReadableStream.from(slices));
  assert.deepEqual(
    await session.query(
      "SELECT count(*)::int AS rows FROM copied WHERE words = repeat(md5(i::text), 50)",
    ),
    [{ rows: 300 }],
  );
}
