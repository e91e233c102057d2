/**
 * Fingerprints that are made of the saved bytes: the same numbers as the server's, for every type and version.
 * Longer than usual: the values of each type, and both ways to a fingerprint, stand beside the tests that compare them.
 *
 * A longer run: `FUZZ_ROWS=20000 FUZZ_SEED=7 deno test -A tests/integration/own_fingerprints_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { PostgresMajor } from "../../scripts/embedded_postgres.ts";
import { columnHashes } from "../../scripts/host/row_hash/column_hashes.ts";
import { hostFingerprints } from "../../scripts/host/row_hash/host_fingerprints.ts";
import { RowHasher } from "../../scripts/host/row_hash/row_hasher.ts";
import type {
  ColumnFacts,
  TableData,
  TableFacts,
} from "../../supabase/functions/backup/core/model.ts";
import {
  type DataLimits,
  hashOfRow,
  type OwnFingerprints,
} from "../../supabase/functions/backup/dump/data/mod.ts";
import {
  copyUnit,
  describeTableData,
  planUnits,
  readDatabase,
} from "../../supabase/functions/backup/dump/mod.ts";
import {
  copyPart,
  copyPayloads,
  type CopyRowsPayload,
  type CopyRowsResult,
  storedParts,
} from "../../supabase/functions/backup/usecases/backup/copy_rows.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import { quoteIdentifier } from "../../supabase/functions/backup/postgres/quote.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { decimal, integer, json, type MakeValue, pick, text } from "../support/hostile_values.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { SAMPLE_KEY } from "../support/repository_samples.ts";
import { randomFrom } from "../support/random_from.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";
import { withDatabase } from "../support/snapshot_database.ts";

const ROWS = Number(Deno.env.get("FUZZ_ROWS") ?? 300);
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 20261121);

const FLOATS = ["0", "-0", "NaN", "Infinity", "-Infinity", "1", "-1.5", "1e-30", "3.4e37", "0.1"];
const numeric: MakeValue = (random) =>
  random() < 0.1 ? pick(["NaN", "Infinity", "-Infinity"], random) : decimal(random);
const float: MakeValue = (random) =>
  random() < 0.5
    ? pick(FLOATS, random)
    : String((random() - 0.5) * 10 ** Math.floor(random() * 30));
const bytes: MakeValue = (random) =>
  "\\x" +
  Array.from({ length: Math.floor(random() * 40) }, () =>
    pick(["00", "ff", "5c", "22", "7f"], random)).join("");
const date: MakeValue = (random) =>
  random() < 0.2
    ? pick(["infinity", "-infinity", "4713-01-01 BC", "2000-01-01", "5874000-01-01"], random)
    : `${1 + Math.floor(random() * 4000)}-0${1 + Math.floor(random() * 9)}-1${
      Math.floor(random() * 9)
    }`.padStart(10, "0");
const time: MakeValue = (random) =>
  random() < 0.2
    ? pick(["00:00", "24:00:00"], random)
    : `1${Math.floor(random() * 9)}:2${Math.floor(random() * 9)}:59.${Math.floor(random() * 1e6)}`;
const timestamp: MakeValue = (random) =>
  random() < 0.2
    ? pick(["infinity", "-infinity", "4713-01-01 BC", "294276-12-31"], random)
    : `19${10 + Math.floor(random() * 80)}-02-03 ${time(random).replace("24:", "23:")}`;
const interval: MakeValue = (random) =>
  `${Math.floor(random() * 9000) - 4500} months ${Math.floor(random() * 90000) - 45000} days ${
    Math.floor(random() * 1e15) - 5e14
  } microseconds`;
const address: MakeValue = (random) =>
  random() < 0.5
    ? `10.${Math.floor(random() * 255)}.0.0/${16 + Math.floor(random() * 16)}`
    : `fe80::${Math.floor(random() * 9999)}/${64 + Math.floor(random() * 64)}`;
const arrayOf = (element: MakeValue): MakeValue => (random) => {
  const items = (length: number) =>
    `{${Array.from({ length }, () => random() < 0.2 ? "NULL" : element(random)).join(",")}}`;
  if (random() < 0.2) return "{}";
  const length = 1 + Math.floor(random() * 3);
  if (random() < 0.2) return `[3:${2 + length}]=${items(length)}`;
  return random() < 0.3 ? `{${items(length)},${items(length)}}` : items(length);
};

/** Column types and what goes in. */
const COLUMNS: [type: string, value: MakeValue][] = [
  ["bool", (random) => pick(["t", "f"], random)],
  ["int2", integer(-(2n ** 15n), 2n ** 15n - 1n)],
  ["int4", integer(-(2n ** 31n), 2n ** 31n - 1n)],
  ["int8", integer(-(2n ** 63n), 2n ** 63n - 1n)],
  ["oid", integer(0n, 2n ** 32n - 1n)],
  ["float4", float],
  ["float8", float],
  ["numeric", numeric],
  ["numeric(40,10)", (random) => String(Math.floor(random() * 1e9) / 100)],
  [
    "uuid",
    (random) =>
      `0000${Math.floor(random() * 9999).toString().padStart(4, "0")}-0000-4000-8000-ffffffffffff`,
  ],
  ["bytea", bytes],
  ["date", date],
  ["time", time],
  ["timetz", (random) => `${time(random)}${pick(["+00", "-12:30", "+05:45:30"], random)}`],
  ["timestamp", timestamp],
  ["timestamptz", timestamp],
  ["interval", interval],
  ["inet", address],
  ["cidr", (random) => pick(["10.0.0.0/8", "0.0.0.0/0", "fe80::/10", "1.2.3.4/32"], random)],
  ["macaddr", (random) => `08:00:2b:01:02:${10 + Math.floor(random() * 80)}`],
  ["macaddr8", (random) => `08:00:2b:01:02:03:04:${10 + Math.floor(random() * 80)}`],
  [
    "pg_lsn",
    (random) =>
      `${Math.floor(random() * 2 ** 32).toString(16)}/${
        Math.floor(random() * 2 ** 32).toString(16)
      }`,
  ],
  ["text", text],
  ["varchar(80)", text],
  ["char(70)", text],
  ["name", (random) => text(random).slice(0, 12)],
  ["text COLLATE case_blind", text],
  ["jsonb", json],
  ["json", json],
  ["mood", (random) => pick(["happy", "so so", 'say "no"', "a,b", "über (sad)"], random)],
  ["positive", integer(1n, 2n ** 31n - 1n)],
  ["document", json],
  ["int4[]", arrayOf(integer(-5n, 5n))],
  ["numeric[]", arrayOf(numeric)],
  ["timestamptz[]", arrayOf((random) => `"${timestamp(random)}"`)],
  ["uuid[]", arrayOf(() => "00000000-0000-4000-8000-ffffffffffff")],
  ["bytea[]", arrayOf((random) => `"\\${bytes(random)}"`)],
];

const TYPES = `
  CREATE COLLATION case_blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE TYPE mood AS ENUM ('happy', 'so so', 'say "no"', 'a,b', 'über (sad)');
  CREATE DOMAIN positive AS int4 CHECK (VALUE > 0);
  CREATE DOMAIN document AS jsonb;`;

const MAJORS: PostgresMajor[] = [15, 16, 17, 18];

for (const major of MAJORS) {
  Deno.test(`rows hashed here have the hashes of PostgreSQL ${major}, whatever is in them`, async () => {
    await withDatabase(major, async (database) => {
      const session = await database.open();
      await session.execute(TYPES);
      await pinSettings(session);
      const random = randomFrom(SEED + major);
      const columns = COLUMNS.map(([type], index) => `${quoteIdentifier(`c${index}`)} ${type}`);
      await session.execute(
        `CREATE TABLE public.hostile (${
          columns.join(", ").replaceAll(/(mood|positive|document|case_blind)/g, "public.$1")
        })`,
      );
      const rows = Array.from(
        { length: ROWS },
        () =>
          COLUMNS.map(([, value]) => random() < 0.07 ? "\\N" : asCopy(value(random))).join("\t") +
          "\n",
      );
      await session.copyIn("COPY public.hostile FROM STDIN", utf8Slices(rows));
      const facts = await factsOf(session);
      for (const [index, [type]] of COLUMNS.entries()) {
        await compare(session, { columns: [facts[index]!], random, what: type });
      }
      await compare(session, { columns: facts, random, what: "all columns" });
    });
  });
}

/** Hashes what COPY gives, cut anywhere, and compares with the server's fingerprint. */
async function compare(
  session: Session,
  { columns, random, what }: { columns: ColumnFacts[]; random: () => number; what: string },
): Promise<void> {
  const data = await dataOf(session, columns);
  const hashes = columnHashes(data);
  assert.ok(hashes !== null, `${what} is not hashed here`);
  const hasher = new RowHasher();
  hasher.begin(hashes);
  const list = data.columns.map((column) => `t.${column}`).join(", ");
  await session.copyOut(
    `COPY (SELECT ${list} FROM public.hostile AS t) TO STDOUT (FORMAT binary)`,
    (slice) => {
      for (let at = 0; at < slice.length;) {
        const to = at + 1 + Math.floor(random() ** 4 * 9000);
        hasher.append(slice.slice(at, to));
        at = to;
      }
    },
  );
  const [expected] = await session.query(
    `SELECT count(*)::text AS rows, coalesce(sum(${data.fingerprintExpression}::int8), 0)::text AS sum
       FROM public.hostile AS t`,
  );
  assert.deepEqual(hasher.end(), expected, what);
}

Deno.test("a fingerprint sees values that have changed places between two rows", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    const hash = hashOfRow([{ name: "a", form: "string" }, { name: "b", form: "direct" }]);
    const pair = (one: string, other: string) =>
      `(SELECT sum(${hash}) FROM (VALUES ('x' || i, i ${one} 1), ('y' || i, i ${other} 1)) t (a, b))`;
    const [found] = await session.query(
      `SELECT count(*)::int AS pairs, count(*) FILTER (WHERE ${pair("+", "-")} = ${
        pair("-", "+")
      })::int AS alike
         FROM generate_series(1, 2000) i`,
    );
    assert.deepEqual(found, { pairs: 2000, alike: 0 });
  });
});

async function factsOf(session: Session): Promise<ColumnFacts[]> {
  const rows = await session.query(
    `SELECT attname AS name, atttypid AS "typeOid", pg_catalog.format_type(atttypid, atttypmod) AS "typeName",
            '' AS generated FROM pg_catalog.pg_attribute
      WHERE attrelid = 'public.hostile'::pg_catalog.regclass AND attnum > 0 ORDER BY attnum`,
  );
  return rows as unknown as ColumnFacts[];
}

async function dataOf(session: Session, columns: ColumnFacts[]): Promise<TableData> {
  const entry = { key: "hostile", kind: "table-data" as const, table: { columns } as TableFacts };
  const [data] = await describeTableData(session, [entry], { copyFormat: "auto" });
  return data!;
}

function asCopy(value: string): string {
  return value.replace(
    /[\\\t\n\r]/g,
    (sign) => ({ "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" })[sign]!,
  );
}

async function* utf8Slices(rows: readonly string[]): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(new TextEncoder().encode(rows.join("")));
}

/** Rows of a table by way of copyUnit(), in ranges of a few pages. */
async function copyTable(
  session: Session,
  { fingerprints, limits, onDamage = "fail" }: {
    fingerprints?: OwnFingerprints;
    limits: DataLimits;
    onDamage?: "fail" | "skip";
  },
) {
  await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
  const model = await readDatabase(session, DUMP_OPTIONS);
  const tableData = await describeTableData(session, model.entries, DUMP_OPTIONS);
  const remarks: string[] = [];
  let [bytes, told] = [0, 0];
  const options = {
    entries: new Map(model.entries.map((entry) => [entry.key, entry])),
    tableData: new Map(tableData.map((data) => [data.entry, data])),
    limits,
    onDamage,
    ...(fingerprints === undefined ? {} : { fingerprints }),
    onRemark: (remark: string) => void remarks.push(remark),
    onBytes: (more: number) => void (told += more),
    sink: {
      append: (slice: Uint8Array) => void (bytes += slice.length),
      endPart: () => Promise.resolve([]),
    },
  };
  const parts = [];
  for (const unit of planUnits({ entries: model.entries, tableData }, limits)) {
    for (const { part } of await copyUnit(session, unit, options)) parts.push(part);
  }
  await session.execute("ROLLBACK");
  return { parts, remarks, bytes, told };
}

/** How often the server was asked for the facts of a range. */
function countScans(session: Session): () => number {
  const query = session.query.bind(session);
  let scans = 0;
  session.query = (sql, parameters) => {
    if (sql.includes("AS rows")) scans++;
    return query(sql, parameters);
  };
  return () => scans;
}

const SAMPLE = `
  CREATE TABLE t AS SELECT i, repeat('abcdefgh', 10) AS note, jsonb_build_object('n', i) AS facts
    FROM generate_series(1, 5000) i`;
const SMALL = { partBytes: 64 << 10, maxPartBytes: 1 << 20 };

Deno.test("copyUnit() with fingerprints of its own gives the parts that it gives without, in one scan", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    await session.execute(SAMPLE);
    await pinSettings(session);
    const before = await copyTable(session, { limits: SMALL });
    const scans = countScans(session);
    const after = await copyTable(session, { limits: SMALL, fingerprints: hostFingerprints() });
    assert.ok(before.parts.length > 5);
    assert.deepEqual(after, before);
    assert.equal(scans(), 1, "the first range is hashed both ways");
  });
});

Deno.test("copyUnit() believes the server where a hash of its own is another, and says so once", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    await session.execute(SAMPLE);
    await pinSettings(session);
    const before = await copyTable(session, { limits: SMALL });
    const right = hostFingerprints();
    const wrong: OwnFingerprints = {
      begin(data, fromPage) {
        const own = right.begin(data, fromPage);
        return own && { ...own, end: () => ({ ...own.end()!, sum: "1" }) };
      },
      doubtful: right.doubtful,
    };
    const after = await copyTable(session, { limits: SMALL, fingerprints: wrong });
    assert.deepEqual(after.parts, before.parts);
    assert.equal(after.remarks.length, 1);
    assert.match(after.remarks[0]!, /"public"\."t" have other hashes in the server/);
  });
});

Deno.test("a table has no fingerprint when a hash of it was found wrong after others went unchecked", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    await session.execute(`${SAMPLE}; CREATE TABLE u AS TABLE t`);
    await pinSettings(session);
    const storage = memoryStorage();
    const repository = await createRepository({ storage, key: SAMPLE_KEY });
    await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    const { entries } = await readDatabase(session, DUMP_OPTIONS);
    const tableData = await describeTableData(session, entries, DUMP_OPTIONS);
    const model = { entries, tableData };
    const payloads = copyPayloads(model, planUnits(model, SMALL), { limits: SMALL })
      .map(({ payload }) => payload);
    const t = entries.find(({ kind, table }) =>
      kind === "table-data" && table!.sqlName.endsWith('"t"')
    )!;
    const isOfT = ({ ranges }: CopyRowsPayload) => ranges[0]!.entry === t.key;
    const [ofT, ofU] = [payloads.filter(isOfT), payloads.filter((each) => !isOfT(each))];
    assert.ok(ofT.length > 5 && ofU.length > 5);
    // Two threads. The first one's hashes break at its third range of t, which it checks, not the second.
    const [first, second] = [breaksAtThird(), hostFingerprints()];
    const copy = async (payload: CopyRowsPayload, fingerprints: OwnFingerprints) => {
      const { result } = await copyPart(payload, { session, repository, fingerprints });
      return JSON.parse(JSON.stringify(result)) as CopyRowsResult; // as it comes from where parts are kept
    };
    const results: CopyRowsResult[] = [];
    for (const payload of ofU) results.push(await copy(payload, second));
    for (const payload of ofT.slice(4)) results.push(await copy(payload, second));
    for (const payload of ofT.slice(0, 2)) results.push(await copy(payload, first));
    assert.ok(storedParts(results).every(({ fingerprint }) => fingerprint !== null));
    await copy(ofT[2]!, first); // the difference is found, and then the part fails and is done once more
    results.push(await copy(ofT[2]!, first), await copy(ofT[3]!, first));
    const parts = storedParts(results);
    assert.equal(parts.length, payloads.length);
    for (const { entry, fingerprint } of parts) {
      assert.equal(fingerprint === null, entry === t.key, entry);
    }
    await session.execute("ROLLBACK");
  });
});

/** Checks each second range; what it makes of the third one and later ones is wrong. */
function breaksAtThird(): OwnFingerprints {
  const right = hostFingerprints({ checkEvery: 2 });
  let ranges = 0;
  return {
    begin(data, fromPage) {
      const own = right.begin(data, fromPage);
      if (own === undefined || ++ranges < 3) return own;
      return { ...own, end: () => ({ ...own.end()!, sum: "1" }) };
    },
    doubtful: right.doubtful,
  };
}

Deno.test("copyUnit() leaves values that it cannot hash to the server, without a word", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    // Of no locale is known here whether it takes these bytes for spaces.
    await session.execute("CREATE TYPE place AS ENUM ('Zürich', 'Rom')");
    await session.execute(
      "CREATE TABLE t AS SELECT i, CASE WHEN i > 4000 THEN 'Zürich' ELSE 'Rom' END::place AS place FROM generate_series(1, 9000) i",
    );
    await pinSettings(session);
    const before = await copyTable(session, { limits: SMALL });
    const after = await copyTable(session, { limits: SMALL, fingerprints: hostFingerprints() });
    assert.deepEqual(after.parts, before.parts);
    assert.deepEqual(after.remarks, []);
  });
});

Deno.test("copyUnit() cuts a range again when more bytes come than a part may have, and only then", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    // Rows of 100 kB that take little room in the table.
    await session.execute(
      "CREATE TABLE t AS SELECT i, repeat('x', 100000) AS body FROM generate_series(1, 200) i",
    );
    await pinSettings(session);
    const limits = { partBytes: 16 << 10, maxPartBytes: 1 << 20 };
    const before = await copyTable(session, { limits });
    const after = await copyTable(session, { limits, fingerprints: hostFingerprints() });
    assert.ok(before.parts.length > 20, "it is cut");
    assert.ok(after.parts.every(({ rawBytes }) => rawBytes <= limits.maxPartBytes + 1000));
    assert.deepEqual(after.parts, before.parts);
    assert.equal(after.told, before.told, "what is taken back counts once");
    assert.ok(after.bytes > after.told);
    assert.ok(
      after.bytes <= before.bytes + limits.maxPartBytes,
      "only the first range is read twice",
    );
    const wide = { partBytes: 16 << 10, maxPartBytes: 128 << 20 };
    const scans = countScans(session);
    const uncut = await copyTable(session, { limits: wide, fingerprints: hostFingerprints() });
    assert.equal(uncut.parts.reduce((rows, part) => rows + part.rows, 0), 200);
    assert.ok(uncut.parts.length < before.parts.length, "it is not cut below the limit");
    assert.equal(scans(), 1);
  });
});

Deno.test("rows hashed here have the server's hashes in databases of other encodings too", async () => {
  const words = [["LATIN1", "caf\u00e9"], ["EUC_JP", "\u65e5\u672c"], [
    "SQL_ASCII",
    "caf\u00e9",
  ]] as const;
  for (const [encoding, word] of words) {
    await using database = await temporaryDatabase("own_fingerprints", { encoding });
    const session = await connect({ url: database.url });
    try {
      await session.execute(
        `CREATE TABLE t AS SELECT i, '${word}'::text AS a, '${word}'::char(9) AS b, '${word}'::name AS c,
                jsonb_build_object('${word}', '${word}"\\' || i) AS d, json_build_object('${word}', i) AS e
           FROM generate_series(1, 1000) i`,
      );
      await pinSettings(session);
      const before = await copyTable(session, { limits: SMALL });
      const scans = countScans(session);
      const after = await copyTable(session, { limits: SMALL, fingerprints: hostFingerprints() });
      assert.ok(before.parts.length > 1);
      assert.deepEqual(after, before, encoding);
      assert.equal(scans(), 1, encoding);
    } finally {
      await session.close();
    }
  }
});

Deno.test("copyUnit() with fingerprints of its own goes around damaged rows as it does without", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    await session.execute(`
      CREATE TABLE t (i int, body text);
      ALTER TABLE t ALTER body SET STORAGE external;
      INSERT INTO t SELECT i, repeat(md5(i::text), 100) FROM generate_series(1, 800) i;
      CREATE EXTENSION pg_surgery`);
    const [lost] = await session.query(
      "SELECT reltoastrelid::regclass::text AS toast FROM pg_class WHERE oid = 't'::regclass",
    );
    await session.execute(
      `SELECT heap_force_kill('${lost?.toast}'::regclass, ARRAY['(100,1)'::tid])`,
    );
    await pinSettings(session);
    const options = { limits: SMALL, onDamage: "skip" as const };
    const before = await copyTable(session, options);
    const after = await copyTable(session, { ...options, fingerprints: hostFingerprints() });
    assert.equal(before.parts.flatMap((part) => part.damaged ?? []).length, 1);
    assert.ok(before.parts.length > 2);
    assert.deepEqual(after.parts, before.parts);
    assert.deepEqual(after.remarks, before.remarks);
    const failing = { limits: SMALL, fingerprints: hostFingerprints() };
    await assert.rejects(copyTable(session, failing), { code: "damaged_source" });
  });
});
