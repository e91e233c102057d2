/**
 * Every type of the server: either stored in binary and written as text exactly as the server would,
 * or stored as text.
 *
 * @module
 */
import assert from "node:assert/strict";
import { concat } from "../../supabase/functions/backup/core/bytes.ts";
import { readBinaryRows, textRow } from "../../supabase/functions/backup/dump/data/binary_rows.ts";
import {
  byteString,
  DECODABLE_TYPES,
} from "../../supabase/functions/backup/dump/data/binary_text.ts";
import {
  binaryFormOf,
  hashFormOf,
  readTypes,
} from "../../supabase/functions/backup/dump/data/types.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { testServer } from "../support/servers.ts";

/** Values of each binary type that reach the corners of its text form. */
const SAMPLES: Record<string, string[]> = {
  bool: ["true", "false"],
  bytea: ["'\\x'", "'\\x00ff5c0a'"],
  char: ["'a'", "''"],
  name: ["'we\"ird'"],
  int2: ["-32768", "0", "32767"],
  int4: ["-2147483648", "7"],
  int8: ["-9223372036854775808", "9223372036854775807"],
  text: ["''", "E'a\\tb\\nc\\\\d\\re\\bf\\vg\\f'", "'\\N'", "'\\.'", "'żółć 😀'", "'null'"],
  oid: ["0", "4294967295"],
  xid: ["'4294967295'"],
  xid8: ["'18446744073709551615'"],
  cid: ["'7'"],
  tid: ["'(4294967295,65535)'"],
  float4: [
    "'NaN'",
    "'-Infinity'",
    "0.1",
    "'-0'",
    "1e-5",
    "123456",
    "1234567",
    "1e6",
    "3.4028235e38",
  ],
  float8: [
    ...["'NaN'", "'Infinity'", "0.1", "1e14", "1e15", "1e16", "123456789012345678", "1e-4", "1e-5"],
    ...["'-0'", "5e-324", "1.7976931348623157e308", "0.30000000000000004", "100", "-2.5e20"],
  ],
  bpchar: ["'ab   '"],
  varchar: ["'x y'"],
  numeric: [
    ...["0", "0.00", "-1", "10000", "1e20", "0.0001", "0.00000001", "123456.789", "'NaN'"],
    ...[
      "'Infinity'",
      "'-Infinity'",
      "99999999.99990000",
      "-0.5",
      "1.10",
      "1e-30",
      "12345678901234567890.1",
    ],
  ],
  bit: ["B'1'", "B'101010101'"],
  varbit: ["B''", "B'1111000011'"],
  uuid: ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
  pg_lsn: ["'0/0'", "'FFFFFFFF/A0B'"],
  date: [
    "'2000-01-01'",
    "'1999-12-31'",
    "'0001-01-01'",
    "'0044-03-15 BC'",
    "'4714-11-24 BC'",
    "'2024-02-29'",
    "'1900-03-01'",
    "'infinity'",
    "'-infinity'",
    "'5874897-12-31'",
  ],
  time: ["'00:00'", "'24:00'", "'23:59:59.999999'", "'12:34:56.7'"],
  timetz: ["'12:00+05:30'", "'12:00-08'", "'12:00:00.1+00'", "'01:02:03-15:59:59'"],
  timestamp: [
    "'2000-01-01'",
    "'1999-12-31 23:59:59.999999'",
    "'0001-01-01 BC'",
    "'infinity'",
    "'-infinity'",
    "'294276-12-31 23:59:59.999999'",
    "'4714-11-24 00:00:00 BC'",
  ],
  timestamptz: ["'2024-05-06 07:08:09.1+02'", "'infinity'", "'0001-01-01 00:00:00+00 BC'"],
  interval: [
    "'0'",
    "'1 year 2 mons 3 days 04:05:06.7'",
    "'-1 year 2 days'",
    "'-3 days 4 hours'",
    "'1 mon -1 day'",
    "'-00:00:01'",
    "'1 year -1 mon'",
    "'100000:00:00'",
    "'-1 mon +2 hours'",
  ],
  json: ["'{\"a\": [1, null]}'"],
  jsonb: ['\'{"b": "\\\\u0041\\\\n", "a": 1.50}\''],
  jsonpath: ["'$.a[*] ? (@ > 1)'"],
  inet: [
    "'1.2.3.4'",
    "'1.2.3.4/24'",
    "'::1'",
    "'::'",
    "'2001:db8::1/64'",
    "'::ffff:1.2.3.4'",
    "'1:0:0:2:0:0:0:3'",
    "'::1.2.3.4'",
    "'fe80::'",
    "'1:2:3:4:5:6:7:8'",
  ],
  cidr: ["'10.0.0.0/8'", "'1.2.3.4/32'", "'2001:db8::/32'", "'::1/128'"],
  macaddr: ["'08:00:2b:01:02:03'"],
  macaddr8: ["'08:00:2b:01:02:03:04:05'"],
  point: ["'(1.5,-2)'", "'(NaN,1e300)'"],
  lseg: ["'[(1,2),(3,4)]'"],
  path: ["'((1,2),(3,4))'", "'[(1,2),(3,4)]'"],
  box: ["'(3,4),(1,2)'"],
  polygon: ["'((1,2),(3,4),(5,6))'"],
  line: ["'{1,-2,3.5}'"],
  circle: ["'<(1,2),3>'"],
  int2vector: ["'1 2 -3'"],
  oidvector: ["'1 4294967295'"],
  pg_snapshot: ["'10:20:10,14,15'", "'10:10:'"],
  txid_snapshot: ["'10:20:10,14,15'"],
  tsvector: ["'a:1A,2B fat:3 c:4C'", "$$'it''s':2 'b\\\\s' 'zwölf':1$$", "''"],
};

const COMPOUND = [
  "'{}'::int4[]",
  "'{1,NULL,3}'::int4[]",
  "'{{1,2},{3,4}}'::int8[]",
  "'[0:1]={a,b}'::text[]",
  "array['', 'null', 'a,b', 'a\"b', 'a\\b', '{', ' ', 'x']::text[]",
  "array['(3,4),(1,2)']::box[]",
  "'[1,5)'::int4range",
  "'empty'::int4range",
  "'(,5)'::numrange",
  "'[2024-01-01 10:00, 2024-01-02)'::tsrange",
  "'{[1,3),[5,9)}'::int4multirange",
  "'{}'::datemultirange",
  "row(1, 'a,b', null, '', 'q\"\\')::public.pair",
  "array[row(1, 'x', null, 'y', 'z')::public.pair]",
  "'so \"so\"'::public.mood",
  "array['good', 'so \"so\"']::public.mood[]",
  "'a b'::public.label",
  "array['a b']::public.label[]",
  "'[a b,c)'::public.label_range",
];

const SHAPES = `
  create type public.mood as enum ('good', 'so "so"');
  create domain public.label as text;
  create type public.pair as (a int4, b text, c date, d public.label, e text);
  create type public.label_range as range (subtype = text, collation = "C");
`;

async function withDatabase(major: 15 | 16 | 17 | 18, work: (session: Session) => Promise<void>) {
  const server = await testServer(major);
  const name = `fd_types_${major}_${crypto.randomUUID().slice(0, 8)}`;
  const admin = await connect({ url: server.url() });
  await admin.execute(`CREATE DATABASE "${name}" ENCODING 'UTF8' TEMPLATE template0`);
  try {
    const session = await connect({ url: server.url(name) });
    try {
      await pinSettings(session);
      await work(session);
    } finally {
      await session.close();
    }
  } finally {
    await admin.execute(`DROP DATABASE "${name}" WITH (FORCE)`);
    await admin.close();
  }
}

async function copyAll(session: Session, sql: string): Promise<Uint8Array> {
  const slices: Uint8Array[] = [];
  await session.copyOut(sql, (slice) => void slices.push(slice.slice()));
  return concat(slices);
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  // In small slices, so that values are cut at every place.
  for (let at = 0; at < bytes.length; at += 3) {
    yield await Promise.resolve(bytes.subarray(at, at + 3));
  }
}

for (const major of [15, 16, 17, 18] as const) {
  Deno.test(`PostgreSQL ${major}: binary values are written as the server writes them`, async () => {
    await withDatabase(major, async (session) => {
      await session.execute(SHAPES);
      const types = await readTypes(session);
      const expressions = [
        ...Object.entries(SAMPLES).flatMap(([type, values]) =>
          values.map((value) => `(${value})::pg_catalog."${type}"`)
        ),
        ...COMPOUND,
        ...(major >= 17 ? ["'infinity'::interval", "'-infinity'::interval"] : []),
        ...(major >= 16 ? ["'\\377'::\"char\""] : []),
      ];
      for (const expression of expressions) {
        const [row] = await session.query(`select pg_catalog.pg_typeof(${expression})::oid as oid`);
        const form = binaryFormOf(types, row?.oid);
        assert.ok(form, `${expression} is not stored in binary`);
        const binary = await copyAll(
          session,
          `COPY (SELECT ${expression}, NULL::pg_catalog.int4) TO STDOUT (FORMAT binary)`,
        );
        const text = await copyAll(session, `COPY (SELECT ${expression}, NULL) TO STDOUT`);
        const rows: string[] = [];
        for await (
          const values of readBinaryRows(once(binary), [form, { kind: "base", name: "int4" }])
        ) rows.push(textRow(values));
        assert.equal(`${rows.join("\n")}\n`, byteString(text), expression);
      }
    });
  });

  Deno.test(`PostgreSQL ${major}: every type of pg_type has a known form`, async () => {
    await withDatabase(major, async (session) => {
      const types = await readTypes(session);
      const binary = new Set<string>();
      for (const type of types.values()) {
        if (type.schema !== "pg_catalog" || type.kind !== "b" || type.isArray) continue;
        if (binaryFormOf(types, type.oid) !== null) binary.add(type.name);
        hashFormOf(types, type.oid);
      }
      const asText = [...types.values()].filter((type) =>
        type.schema === "pg_catalog" && type.kind === "b" && !type.isArray && !binary.has(type.name)
      ).map((type) => type.name).sort();
      assert.deepEqual(
        asText.filter((name) => !/^reg/.test(name)),
        [
          ...["aclitem", "gtsvector", "money", "pg_brin_bloom_summary"],
          ...["pg_brin_minmax_multi_summary", "pg_dependencies", "pg_mcv_list", "pg_ndistinct"],
          ...["pg_node_tree", "refcursor", "tsquery", "xml"],
        ],
      );
      for (const name of binary) {
        assert.ok(DECODABLE_TYPES.includes(name), `${name} cannot be decoded`);
        assert.ok(SAMPLES[name], `${name} has no sample`);
      }
    });
  });
}
