/**
 * Exports load with psql into the same database, and nothing in them makes psql act.
 *
 * @module
 */
import assert from "node:assert/strict";
import { concat } from "../../supabase/functions/backup/core/bytes.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { DataPart, Entry } from "../../supabase/functions/backup/core/model.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  createRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { exportDatabase } from "../../supabase/functions/backup/usecases/export/export_database.ts";
import { fits, makeCorpusRoles, readCorpus } from "../support/corpus.ts";
import { testServer } from "../support/servers.ts";

const ATTACK = "\n\\! touch PWNED\n";

/** Names, comments and values that hold what psql would act on outside of quotes. */
const SAMPLE = `
  create schema "s${ATTACK}";
  create table "s${ATTACK}"."t${ATTACK}" ("c${ATTACK}" text, ":x" int, d date, e int[], f json);
  insert into "s${ATTACK}"."t${ATTACK}" values
    (E'\\n\\\\.\\n\\\\! touch PWNED\\n', 1, '2024-02-29', '{1,NULL}', '{"a": "\\\\u0041"}'),
    (E'\\\\.', 2, null, '{}', null), (null, null, 'infinity', null, 'null'), ('', 4, null, null, '""');
  comment on table "s${ATTACK}"."t${ATTACK}" is E'it''s ${ATTACK} \\\\! touch PWNED';
  create type mood as enum ('a', E'b\\\\! touch PWNED');
  create table plain (id int generated always as identity primary key, m mood, n numeric, b bytea);
  insert into plain (m, n, b) values ('a', 1.50, '\\x005c2e'), (E'b\\\\! touch PWNED', 'NaN', '');
  create function f(int) returns int language sql begin atomic select $1 + 1; end;
  create function g() returns text language sql as $_$ select '\\! touch PWNED' $_$;
  create view v as select e[1:2], ':x' as x from "s${ATTACK}"."t${ATTACK}";
  create table nothing (); insert into nothing default values;
  create materialized view m as select count(*) from plain;
  select lo_from_bytea(4711, '\\x00ff');
`;

async function scratch(name: string, encoding = "UTF8") {
  const server = await testServer(17);
  const admin = await connect({ url: server.url() });
  const database = `fd_export_${name}_${crypto.randomUUID().slice(0, 8)}`;
  await admin.execute(
    `CREATE DATABASE "${database}" ENCODING '${encoding}' LOCALE 'C' TEMPLATE template0`,
  );
  return {
    url: server.url(database),
    async [Symbol.asyncDispose]() {
      await admin.execute(`DROP DATABASE "${database}" WITH (FORCE)`);
      await admin.close();
    },
  };
}

async function backup(url: string): Promise<Repository> {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  await backupDatabase({
    connect: () => connect({ url }),
    repository,
    clock: systemClock,
    request: {
      origin: "manual",
      dump: {
        profile: "plain",
        includeSchemas: [],
        excludeSchemas: [],
        includeTables: [],
        excludeTables: [],
        excludeTableData: [],
        copyFormat: "auto",
      },
    },
    writtenBy: "test",
  });
  return repository;
}

/** All definitions and fingerprints by identity. */
async function contentOf(repository: Repository) {
  const { manifest } = await repository.readBackup("latest");
  const content: Record<string, unknown> = {};
  const names = new Map<string, string>();
  for await (const entry of repository.readLines<Entry>(manifest.entries)) {
    names.set(entry.key, entry.identity);
    // Of the cluster, not of the database.
    if (entry.kind !== "role" && entry.kind !== "tablespace") {
      content[entry.identity] = entry.statements;
    }
  }
  for await (const part of repository.readLines<DataPart>(manifest.dataParts)) {
    content[`rows of ${names.get(part.entry)} ${part.part}`] = [part.rows, part.fingerprint];
  }
  return content;
}

async function exported(
  repository: Repository,
  options: { format: "sql" | "json"; tables?: string[] },
) {
  const slices: Uint8Array[] = [];
  const write = (bytes: Uint8Array) => Promise.resolve(void slices.push(bytes.slice()));
  const from = { repository, backup: "latest" };
  const report = await exportDatabase(from, options, { target: { write } });
  return { report, bytes: concat(slices) };
}

async function psql(url: string, input: Uint8Array, directory: string): Promise<string> {
  const file = `${directory}/export.sql`;
  await Deno.writeFile(file, input);
  const { success, stderr } = await new Deno.Command("psql", {
    args: ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", file, "-d", url],
    cwd: directory,
  }).output();
  return success ? "" : new TextDecoder().decode(stderr);
}

async function hasPsql(): Promise<boolean> {
  try {
    return (await new Deno.Command("psql", { args: ["--version"] }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const psqlMissing = !await hasPsql();

for (const encoding of ["UTF8", "LATIN1", "SQL_ASCII"]) {
  Deno.test({
    name: `exportDatabase() writes SQL that psql loads into the same database, in ${encoding}` +
      (psqlMissing ? " (left out: there is no psql)" : ""),
    ignore: psqlMissing,
    fn: async () => {
      const directory = await Deno.makeTempDir();
      await using source = await scratch("source", encoding);
      await using target = await scratch("target", encoding);
      const session = await connect({ url: source.url });
      await session.execute(SAMPLE);
      if (encoding === "LATIN1") {
        await session.execute(`create table "ü" (a text); insert into "ü" values ('zwölf')`);
      }
      await session.close();
      const repository = await backup(source.url);
      const { bytes, report } = await exported(repository, { format: "sql" });
      assert.equal(report.tables, encoding === "LATIN1" ? 5 : 4);
      assert.equal(await psql(target.url, bytes, directory), "");
      assert.deepEqual(
        await contentOf(await backup(target.url)),
        await contentOf(repository),
      );
      assert.deepEqual(
        (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name),
        ["export.sql"],
      );
      await Deno.remove(directory, { recursive: true });
    },
  });
}

for (const attack of readCorpus("attacks--")) {
  Deno.test({
    name: `exportDatabase() writes ${attack.name} so that psql loads it and does nothing else` +
      (psqlMissing ? " (left out: there is no psql)" : ""),
    ignore: psqlMissing || !fits(attack.meta, 17),
    fn: async () => {
      const directory = await Deno.makeTempDir();
      await using source = await scratch("attack", attack.meta.encoding);
      await using target = await scratch("attacked", attack.meta.encoding);
      const session = await connect({ url: source.url });
      await makeCorpusRoles(session);
      for (const sql of [attack.schema, attack.data]) if (sql !== "") await session.execute(sql);
      await session.close();
      const repository = await backup(source.url);
      const { bytes } = await exported(repository, { format: "sql" });
      assert.equal(await psql(target.url, bytes, directory), "");
      assert.deepEqual(await contentOf(await backup(target.url)), await contentOf(repository));
      const files = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
      assert.deepEqual(files, ["export.sql"]);
      await Deno.remove(directory, { recursive: true });
    },
  });
}

Deno.test("exportDatabase() writes rows as JSON lines, of chosen tables", async () => {
  await using source = await scratch("json", "LATIN1");
  const session = await connect({ url: source.url });
  await session.execute(SAMPLE);
  await session.execute("insert into plain (n) values (2); create table \"ü\" as select 'zwölf' a");
  await session.close();
  const repository = await backup(source.url);
  const linesOf = (bytes: Uint8Array) =>
    new TextDecoder().decode(bytes).trimEnd().split("\n").map((line) => JSON.parse(line));
  const { bytes, report } = await exported(repository, { format: "json", tables: ["public.?"] });
  assert.equal(report.rows, 1);
  const [header, ...rest] = linesOf(bytes);
  assert.deepEqual(
    header.tables.map(({ definition: _, ...table }: { definition: unknown }) => table),
    [
      { schema: "public", name: "ü", columns: [{ name: "a", type: "text" }] },
    ],
  );
  assert.deepEqual(rest.slice(0, 2), [{ rowsOf: { schema: "public", name: "ü" } }, ["zwölf"]]);
  assert.equal(rest[2].end.rows, "1");
  const plain = await exported(repository, { format: "json", tables: ["public.plain"] });
  assert.deepEqual(linesOf(plain.bytes).filter(Array.isArray), [
    ["1", "a", "1.50", "\\x005c2e"],
    ["2", "b\\! touch PWNED", "NaN", "\\x"],
    ["3", null, "2", null],
  ]);
  await assert.rejects(exported(repository, { format: "json", tables: ["public.none"] }), {
    code: "not_found",
  });
});

Deno.test("exportDatabase() makes roles that are missing and leaves those alone that are there", async () => {
  const role = `fd_export_${crypto.randomUUID().slice(0, 8)}`;
  await using source = await scratch("roles");
  const session = await connect({ url: source.url });
  const makesDatabases = async () => {
    const found = await session.query(
      "select rolcreatedb as yes from pg_roles where rolname = $1",
      [
        role,
      ],
    );
    return found[0]?.yes;
  };
  try {
    await session.execute(`create role ${role} createdb`);
    const { bytes } = await exported(await backup(source.url), { format: "sql" });
    const statements = new TextDecoder().decode(bytes).split("\n;\n")
      .filter((sql) => sql.includes(`"${role}"`)).join(";\n");
    await session.execute(`alter role ${role} nocreatedb`);
    await session.execute(statements);
    assert.equal(await makesDatabases(), false);
    await session.execute(`drop role ${role}`);
    await session.execute(statements);
    assert.equal(await makesDatabases(), true);
  } finally {
    await session.execute(`drop role if exists ${role}`);
    await session.close();
  }
});
