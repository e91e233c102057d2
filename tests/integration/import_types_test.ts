/**
 * Every built-in type comes back as it was, through JSON and SQL, from a live database and from a backup.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { PostgresMajor } from "../../scripts/embedded_postgres.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { quoteIdentifier } from "../../supabase/functions/backup/postgres/quote.ts";
import {
  backupOf,
  contentOf,
  exportBytes,
  importBytes,
  run,
} from "../support/export_round_trip.ts";
import { testServer } from "../support/servers.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";
import { COMPOUND, SAMPLES, SHAPES, TEXT_SAMPLES } from "../support/type_samples.ts";

/** Base types without values that a client could send. */
const WITHOUT_INPUT = [
  ...["gtsvector", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary"],
  ...["pg_dependencies", "pg_mcv_list", "pg_ndistinct", "pg_node_tree"],
];

/** Values that only some versions know. */
function versionSamples(major: PostgresMajor): Record<string, string[]> {
  return {
    interval: major >= 17 ? ["'infinity'", "'-infinity'"] : [],
    char: major >= 16 ? ["'\\377'", "'\\200'"] : [],
  };
}

/** Makes a table with a column and an array for each type, and a row for each of its values. */
async function makeTable(url: string, major: PostgresMajor): Promise<void> {
  const values = Object.entries({ ...SAMPLES, ...TEXT_SAMPLES }).map(([name, samples]) => ({
    // Without its length a bit string would be cut to one bit.
    type: name === "bit" ? "bit(9)" : `pg_catalog.${quoteIdentifier(name)}`,
    samples: [...samples, ...versionSamples(major)[name] ?? []],
  }));
  const columns = values.flatMap(({ type }, index) => [`v${index} ${type}`, `a${index} ${type}[]`]);
  const rows = Math.max(...values.map(({ samples }) => samples.length));
  const inserts = Array.from({ length: rows }, (_, row) => {
    const list = values.flatMap(({ type, samples }) => {
      const sample = samples[row];
      const value = sample === undefined ? `null::${type}` : `(${sample})::${type}`;
      return [value, `array[${value}, null]`];
    });
    return `insert into public.every values (${row}, ${list.join(", ")})`;
  });
  const compound = COMPOUND.map((value, index) => `${value} as c${index}`);
  await run(
    url,
    SHAPES,
    `create table public.every (id int primary key, ${columns.join(", ")})`,
    ...inserts,
    `create table public.compound as select 1 as id, ${compound.join(", ")}`,
  );
}

const TABLES = ["public.every", "public.compound"];

for (const major of [15, 17, 18] as const) {
  Deno.test(`PostgreSQL ${major}: every built-in type comes back through JSON and SQL`, async () => {
    await using source = await temporaryDatabase("m5_types", { major });
    await makeTable(source.url, major);
    const expected = await contentOf(source.url, TABLES);
    const backup = await backupOf(source.url);
    const ways = ([
      [source.url, "json", [15, 17]],
      [source.url, "sql", [17, 18]],
      [backup, "json", [17, 18]],
      [backup, "sql", [15, 17]],
    ] as const).filter(([, , majors]) => (majors as readonly number[]).includes(major));
    for (const [from, format] of ways) {
      await using target = await temporaryDatabase("m5_types_target", { major });
      // Others' settings must not matter.
      for (const setting of ["DateStyle = 'German'", "IntervalStyle = 'iso_8601'"]) {
        await run(target.url, `alter database ${target.name} set ${setting}`);
      }
      const { bytes } = await exportBytes(from, { format });
      const { tables } = await importBytes(target.url, bytes, { create: format === "json" });
      assert.deepEqual(tables.map(({ compared }) => compared), ["content", "content"]);
      assert.deepEqual(await contentOf(target.url, TABLES), expected, format);
    }
  });
}

Deno.test("there are values of every base type that can be stored", async () => {
  const session = await connect({ url: (await testServer(18)).url() });
  try {
    const found = await session.query(`
      select typname::text as name from pg_catalog.pg_type
       where typtype = 'b' and typcategory <> 'A' and typnamespace = 'pg_catalog'::regnamespace
         and oid < 16384 and typname not like '\\_%'`);
    const known = [...Object.keys(SAMPLES), ...Object.keys(TEXT_SAMPLES), ...WITHOUT_INPUT];
    assert.deepEqual(found.map(({ name }) => name).filter((name) => !known.includes(name)), []);
  } finally {
    await session.close();
  }
});

const digits = (most: number) =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: most }).map((list) =>
    list.join("")
  );
const bits = fc.array(fc.boolean(), { maxLength: 40 }).map((list) => list.map(Number).join(""));
const text = fc.string({ unit: "binary", maxLength: 30 }).map((value) =>
  value.replaceAll("\0", "").toWellFormed()
);
const float = (value: number) => Object.is(value, -0) ? "-0" : String(value);
const hex = (bytes: Uint8Array) =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const days = fc.integer({ min: -2_451_545, max: 2_145_031_948 });
const arrayOf = (values: readonly string[]) =>
  `{${values.map((value) => `"${value.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;

/** Random values by type, as the text that its input takes. */
const RANDOM: Record<string, fc.Arbitrary<string>> = {
  int8: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  numeric: fc.oneof(
    fc.tuple(fc.constantFrom("", "-"), digits(300), digits(300)).map(([sign, whole, rest]) =>
      `${sign}${whole}.${rest}`
    ),
    fc.constantFrom(
      "NaN",
      "Infinity",
      "-Infinity",
      `1${"0".repeat(131071)}`,
      `0.${"0".repeat(16382)}1`,
    ),
  ),
  float8: fc.double().map(float),
  float4: fc.float().map(float),
  text,
  bytea: fc.uint8Array({ maxLength: 40 }).map((bytes) => `\\x${hex(bytes)}`),
  varbit: bits,
  json: fc.json().map((json) => `  ${json}\n`).filter((json) => !json.includes("\\u0000")),
  jsonb: fc.tuple(digits(60), digits(60)).map(([whole, rest]) =>
    `{"n": ${whole.replace(/^0+(?=\d)/, "")}.${rest}, "n": -0.0, "a": [null, "\\ud83d\\ude00\\t"]}`
  ),
  date: days.map((day) => `J${day + 2_451_545}`),
  interval: fc.tuple(fc.integer(), fc.integer(), fc.maxSafeInteger()).map(([months, days, us]) =>
    `${months} mons ${days} days ${us} microseconds`
  ),
  "text[]": fc.array(text, { maxLength: 4 }).map(arrayOf),
  int4range: fc.tuple(fc.integer(), fc.integer()).map(([a, b]) =>
    `[${Math.min(a, b)},${Math.min(2 ** 31 - 2, Math.max(a, b))}]`
  ),
  uuid: fc.uuid(),
  inet: fc.oneof(fc.ipV4(), fc.ipV6()),
  point: fc.tuple(fc.double(), fc.double()).map(([x, y]) => `(${float(x)},${float(y)})`),
  pg_lsn: fc.tuple(fc.nat(), fc.nat()).map(([high, low]) =>
    `${high.toString(16)}/${low.toString(16)}`
  ),
  money: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((cents) => {
    const all = String(cents < 0n ? -cents : cents).padStart(3, "0");
    return `${cents < 0n ? "-" : ""}${all.slice(0, -2)}.${all.slice(-2)}`;
  }),
};

for (const major of [15, 17, 18] as const) {
  Deno.test(`PostgreSQL ${major}: random rows come back, whatever the slices of the file`, async () => {
    await using source = await temporaryDatabase("m5_random", { major });
    await using target = await temporaryDatabase("m5_random_target", { major });
    const columns = Object.keys(RANDOM);
    await run(
      source.url,
      `create table public.r (id int generated always as identity primary key,
         doubled int generated always as (id * 2) stored,
         ${columns.map((type, index) => `c${index} ${type}`).join(", ")})`,
    );
    const row = fc.tuple(...columns.map((type) => fc.option(RANDOM[type]!)));
    const rows = fc.array(row, { minLength: 20, maxLength: 40, size: "max" });
    const slice = fc.integer({ min: 1, max: 5000 });
    const session = await connect({ url: source.url });
    try {
      const insert = `insert into public.r (${columns.map((_, index) => `c${index}`).join(", ")})
         values (${columns.map((_, index) => `$${index + 1}`).join(", ")})`;
      await fc.assert(
        fc.asyncProperty(rows, slice, async (rows, sliceBytes) => {
          await session.execute("truncate public.r");
          for (const values of rows) await session.query(insert, values);
          const { bytes } = await exportBytes(source.url, { format: "json", tables: ["public.r"] });
          await importBytes(target.url, bytes, { create: true, mode: "replace", sliceBytes });
          assert.deepEqual(
            await contentOf(target.url, ["public.r"]),
            await contentOf(source.url, ["public.r"]),
          );
        }),
        { numRuns: 2, endOnFailure: true },
      );
    } finally {
      await session.close();
    }
  });
}
