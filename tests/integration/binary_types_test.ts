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
import { COMPOUND, SAMPLES, SHAPES } from "../support/type_samples.ts";

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
