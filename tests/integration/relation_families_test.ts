import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { Entry, EntryKind } from "../../supabase/functions/backup/core/model.ts";
import {
  type DatabaseReading,
  type DumpOptions,
  readDatabase,
} from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

const FIXTURE = new URL("../fixtures/relations.sql", import.meta.url);
const FIXTURE_18 = new URL("../fixtures/relations_18.sql", import.meta.url);

const KINDS: readonly EntryKind[] = [
  "sequence",
  "table",
  "view",
  "materialized-view",
  "table-attach",
  "default",
  "check-constraint",
  "table-data",
  "sequence-set",
  "index",
  "index-attach",
  "constraint",
  "foreign-key",
  "statistics",
  "rule",
  "trigger",
  "policy",
  "row-security",
  "refresh",
];

/** What belongs to the server and is there already. */
const OF_CLUSTER = /^(role|tablespace|database)/;

/** What the definitions do not show twice in the same words, straight from the catalogs. */
const CATALOG_FACTS = {
  columns: `
    select c.oid::regclass::text as relation, a.attname, a.attislocal, a.attinhcount, a.attnotnull,
           a.attidentity, a.attgenerated, a.attstorage, a.attcompression, a.attstattarget,
           a.attcollation::regcollation::text as collation, a.attfdwoptions::text,
           array(select o from unnest(a.attoptions) o where o not like 'pg\\_attver=%') as options,
           rank() over (partition by c.oid order by a.attnum) as place
      from pg_attribute a join pg_class c on c.oid = a.attrelid
     where a.attnum > 0 and not a.attisdropped and c.oid >= 16384
       and c.relkind in ('r', 'p', 'f', 'v', 'm') and c.relnamespace <> 99
     order by 1, 2`,
  relations: `
    select c.oid::regclass::text as relation, c.relkind, c.relpersistence, am.amname, c.reloptions,
           c.relreplident, c.relrowsecurity, c.relforcerowsecurity, c.relispartition,
           c.relispopulated, c.reloftype::regtype::text as of_type, t.reloptions as toast
      from pg_class c
      left join pg_am am on am.oid = c.relam
      left join pg_class t on t.oid = c.reltoastrelid
     where c.oid >= 16384 and c.relkind <> 'c' and c.relnamespace <> 99 order by 1`,
  indexes: `
    select i.indexrelid::regclass::text as index, i.indisvalid, i.indisclustered, i.indisreplident,
           i.indisprimary, i.indnullsnotdistinct
      from pg_index i join pg_class c on c.oid = i.indexrelid
     where c.oid >= 16384 and c.relnamespace <> 99 order by 1`,
  triggers: `
    select tgrelid::regclass::text as relation, tgname, tgenabled, tgtype, tgparentid <> 0 as is_copy
      from pg_trigger where not tgisinternal order by 1, 2`,
};

for (const major of [15, 17, 18] as const) {
  Deno.test(`relations and what hangs on them come back as they were on PostgreSQL ${major}`, async () => {
    await withDatabases(major, async ({ source, target }) => {
      const read = await readModel(source);
      const kinds = new Set(read.entries.map((entry) => entry.kind));
      assert.deepEqual(KINDS.filter((kind) => !kinds.has(kind)), [], "kinds that were not read");

      await restore(target, read.entries);
      assert.deepEqual(statementsByIdentity(await readModel(target)), statementsByIdentity(read));
      for (const [what, sql] of Object.entries(CATALOG_FACTS)) {
        assert.deepEqual(await target.query(sql), await source.query(sql), what);
      }
    });
  });
}

Deno.test("dropping relations in the reverse order leaves none", async () => {
  await withDatabases(17, async ({ source }) => {
    const { entries } = await readModel(source);
    for (const entry of entries.toReversed()) {
      if (OF_CLUSTER.test(entry.kind)) continue;
      for (const sql of entry.statements.drop) await source.execute(sql);
    }
    const left = await source.query(
      "select oid::regclass::text as relation from pg_class where oid >= 16384",
    );
    assert.deepEqual(left, []);
  });
});

Deno.test("a chosen table comes with its sequence, and no other table does", async () => {
  await withDatabases(17, async ({ source }) => {
    const { entries } = await readModel(source, { includeTables: ['we ird."x.ul'] });
    const relations = entries.filter((one) =>
      ["table", "view", "sequence", "materialized-view"].includes(one.kind)
    );
    assert.deepEqual(relations.map((one) => one.identity).sort(), [
      'sequence SEQUENCE "we ird.""x"."ul_id_seq"',
      'sequence SEQUENCE "we ird.""x"."ul_seq2"',
      'sequence SEQUENCE OWNED BY "we ird.""x"."ul_id_seq"',
      'table TABLE "we ird.""x"."ul"',
    ]);
  });
});

Deno.test("an excluded table loses its identity sequence too, and its partitions stand alone", async () => {
  await withDatabases(17, async ({ source }) => {
    const { entries, remarks } = await readModel(source, { excludeTables: ["p"] });
    assert.equal(entries.find((one) => one.identity.includes('"p_id_seq"')), undefined);
    const attached = entries.filter((one) => one.kind === "table-attach").map((one) => one.name);
    assert.deepEqual(attached.sort(), ["ftp", "pd1"]);
    assert.ok(remarks.some((remark) => remark.includes('"p1"')), remarks.join("\n"));
  });
});

Deno.test("tables whose rows are left out keep their definition", async () => {
  await withDatabases(17, async ({ source }) => {
    const { entries } = await readModel(source, { excludeTableData: ["pk", "a0", "ul_id_seq"] });
    const named = (name: string) => entries.filter((one) => one.name === name).map((e) => e.kind);
    assert.deepEqual(named("pk"), ["table", "row-security"]);
    assert.deepEqual(named("a0"), ["materialized-view"]);
    assert.deepEqual(named("ul_id_seq"), ["sequence", "sequence"]);
  });
});

Deno.test("rows of an extension's configuration table are saved under its condition, after those it refers to", async () => {
  await withDatabases(17, async ({ source }) => {
    await source.execute(`
      create extension hstore with schema public;
      create table public.kinds (id int primary key);
      create table public.settings (id int, kind int references public.kinds);
      alter extension hstore add table public.kinds;
      alter extension hstore add table public.settings;
      update pg_extension set extcondition = array['WHERE id > 1', ''],
             extconfig = array['public.settings'::regclass::oid, 'public.kinds'::regclass::oid]
       where extname = 'hstore'`);
    const { entries } = await readModel(source);
    const own = entries.filter((one) => one.extension === "hstore");
    assert.deepEqual(own.map((one) => [one.identity, one.table?.condition]), [
      ['table-data TABLE DATA "public"."kinds"', null],
      ['table-data TABLE DATA "public"."settings"', "WHERE id > 1"],
    ]);
    assert.deepEqual(own[1]!.table!.referencedTables, [own[0]!.key]);
  });
});

Deno.test("queues of pgmq are saved whole, although the extension counts them as its own", async () => {
  await withDatabases(17, async ({ source }) => {
    // The extension's files are not on the server: another one plays it.
    await source.execute(`
      create extension hstore with schema public;
      create schema pgmq;
      create table pgmq.q_mail (id bigint primary key generated always as identity, message jsonb);
      alter extension hstore add table pgmq.q_mail;
      alter extension hstore add sequence pgmq.q_mail_id_seq;
      create table pgmq.meta (queue_name varchar unique);
      alter extension hstore add table pgmq.meta;
      update pg_extension set extname = 'pgmq' where extname = 'hstore'`);
    const { entries } = await readModel(source, { includeSchemas: ["pgmq"] });
    const listed = entries.filter((one) => one.extension === "pgmq");
    assert.deepEqual(listed.map((one) => one.identity), ['table-data TABLE DATA "pgmq"."meta"']);
    const own = entries.filter((one) => one.schema === "pgmq" && !listed.includes(one));
    assert.deepEqual(own.map((one) => one.kind), [
      "table",
      "sequence",
      "table-data",
      "sequence-set",
      "constraint",
    ]);
    assert.ok(own.every((one) => one.extension === undefined));
  });
});

Deno.test("versions of columns that a server notes among their options are left out", async () => {
  await withDatabases(17, async ({ source }) => {
    await source.execute(`
      create table public.t (a int, b int);
      update pg_attribute set attoptions = '{pg_attver=7}'
       where attrelid = 'public.t'::regclass and attnum = 1;
      update pg_attribute set attoptions = '{pg_attver=8,n_distinct=5}'
       where attrelid = 'public.t'::regclass and attnum = 2`);
    const { entries } = await readModel(source);
    const table = entries.find((one) => one.identity === 'table TABLE "public"."t"');
    const sql = table!.statements.create.join("\n");
    assert.match(sql, /ALTER COLUMN "b" SET \("?n_distinct"?='?5'?\)/);
    assert.doesNotMatch(sql, /pg_attver|ALTER COLUMN "a"/);
  });
});

Deno.test("a sequence that the role may not read fails the backup by name", async () => {
  await withDatabases(17, async ({ source }) => {
    await source.execute("set role pg_monitor");
    await assert.rejects(
      () => readModel(source, { includeTables: ["us"] }),
      (error: Error) =>
        error instanceof BackupError && error.code === "insufficient_privilege" &&
        error.message.includes('"us"'),
    );
  });
});

async function readModel(
  session: Session,
  options: Partial<DumpOptions> = {},
): Promise<DatabaseReading> {
  await session.execute("begin isolation level repeatable read read only");
  try {
    return await readDatabase(session, { ...DUMP_OPTIONS, ...options });
  } finally {
    await session.execute("rollback");
  }
}

/** Rights and refreshes last, as a restore does it. */
async function restore(session: Session, entries: readonly Entry[]): Promise<void> {
  const own = entries.filter((entry) => !OF_CLUSTER.test(entry.kind));
  const isLate = (entry: Entry) => entry.kind === "refresh" || entry.kind === "event-trigger";
  const made = ["create", "owner", "comment", "label"] as const;
  const run = async (list: Entry[], statements: readonly (keyof Entry["statements"])[]) => {
    for (const entry of list) {
      for (const what of statements) {
        for (const sql of entry.statements[what]) await session.execute(sql);
      }
    }
  };
  await run(own.filter((entry) => !isLate(entry)), made);
  await run(own, ["acl"]);
  await run(own.filter(isLate), made);
}

function statementsByIdentity(reading: DatabaseReading): [string, Entry["statements"]][] {
  return reading.entries
    .filter((entry) => !OF_CLUSTER.test(entry.kind))
    .map((entry): [string, Entry["statements"]] => [entry.identity, entry.statements])
    .sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
}

/** Two new databases, the fixture in the first; both are dropped afterwards. */
async function withDatabases(
  major: 15 | 17 | 18,
  test: (sessions: { source: Session; target: Session }) => Promise<void>,
): Promise<void> {
  const server = await testServer(major);
  const admin = await connect({ url: server.url() });
  const suffix = crypto.randomUUID().slice(0, 8);
  const names = [`relations_test_${suffix}_a`, `relations_test_${suffix}_b`] as const;
  const opened: Session[] = [];
  const open = async (name: string) => {
    await admin.execute(`create database ${name} template template0 encoding 'UTF8' locale 'C'`);
    const session = await connect({ url: server.url(name) });
    opened.push(session);
    return session;
  };
  try {
    const source = await open(names[0]);
    const target = await open(names[1]);
    for (const sql of await statementsOf(FIXTURE)) await source.execute(sql);
    if (major >= 18) {
      for (const sql of await statementsOf(FIXTURE_18)) await source.execute(sql);
    }
    await pinSettings(source);
    await pinSettings(target);
    await test({ source, target });
  } finally {
    for (const session of opened) await session.close();
    for (const name of names) await admin.execute(`drop database if exists ${name} with (force)`);
    await admin.close();
  }
}

/** One statement per line: CREATE INDEX CONCURRENTLY must be alone. */
async function statementsOf(fixture: URL): Promise<string[]> {
  return (await Deno.readTextFile(fixture)).split("\n").filter((line) => /^[a-z]/.test(line));
}
