/**
 * Hashing rows: what is compiled, and what is left to the server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { concat, toHex, utf8 } from "../../../supabase/functions/backup/core/bytes.ts";
import type { TableData } from "../../../supabase/functions/backup/core/model.ts";
import { columnHashes } from "./column_hashes.ts";
import { RowHasher } from "./row_hasher.ts";
import { ROW_HASH_SOURCE } from "./row_hash_wasm.ts";

const HEADER = new Uint8Array(19);
const TRAILER = Uint8Array.of(0xff, 0xff);
const STRING = [{ kind: 12, element: 0 }];
const JSONB = [{ kind: 14, element: 0 }];

function rowOf(...values: Uint8Array[]): Uint8Array {
  const fields = values.flatMap((value) => [int32(value.length), value]);
  return concat([Uint8Array.of(0, values.length), ...fields]);
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value);
  return bytes;
}

Deno.test("the compiled hashes were made from the source beside them", async () => {
  const source = await Deno.readFile(new URL("row_hash.as", import.meta.url));
  const digest = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", source)));
  assert.equal(digest, ROW_HASH_SOURCE, "run scripts/write_webassembly.ts");
});

Deno.test("COPY data that is cut anywhere has the same fingerprint", () => {
  const data = concat([HEADER, rowOf(utf8("one")), rowOf(utf8("")), rowOf(utf8("three")), TRAILER]);
  const hasher = new RowHasher();
  // As the server says: the row hash of decision 3, over hashtextextended(t collate "C", 0).
  const expected = { rows: "3", sum: "6405881917374909165" };
  for (let cut = 0; cut <= data.length; cut++) {
    hasher.begin(STRING);
    hasher.append(data.subarray(0, cut));
    hasher.append(data.subarray(cut));
    assert.deepEqual(hasher.end(), expected, `cut at ${cut}`);
  }
});

Deno.test("rows that are not known to be hashed right have no fingerprint", () => {
  const hasher = new RowHasher();
  const cases: [what: string, data: Uint8Array[], columns: typeof STRING][] = [
    ["no end", [rowOf(utf8("a"))], STRING],
    ["the beginning of a row", [rowOf(utf8("a")).subarray(0, 5), TRAILER], STRING],
    ["bytes behind the end", [TRAILER, rowOf(utf8("a"))], STRING],
    ["another number of columns", [rowOf(utf8("a"), utf8("b")), TRAILER], STRING],
    ["a row of more than a megabyte", [rowOf(new Uint8Array(2 << 20)), TRAILER], STRING],
    ["another version of jsonb", [rowOf(utf8("\x02{}")), TRAILER], JSONB],
    ["jsonb that does not end", [rowOf(utf8('\x01{"a": "b')), TRAILER], JSONB],
    ["an escape that the server does not write", [rowOf(utf8('\x01"\\u1234"')), TRAILER], JSONB],
    ["a word that is not of JSON", [rowOf(utf8("\x01NaN")), TRAILER], JSONB],
    ["an empty value", [rowOf(utf8("\x01")), TRAILER], JSONB],
  ];
  for (const [what, data, columns] of cases) {
    hasher.begin(columns);
    hasher.append(concat([HEADER, ...data]));
    assert.equal(hasher.end(), null, what);
  }
  hasher.begin(STRING);
  hasher.append(concat([HEADER, TRAILER]));
  assert.deepEqual(hasher.end(), { rows: "0", sum: "0" }, "the next run is not spoiled");
});

Deno.test("columns are hashed only as the stored expression says", () => {
  const data: TableData = {
    entry: "t",
    columns: ["a"],
    format: "binary",
    serverVersion: 170000,
    encoding: "UTF8",
    columnTypes: ["integer"],
    columnForms: [{ kind: "base", name: "int4" }],
    extensionVersions: {},
    fingerprintExpression:
      "pg_catalog.hashint4extended(0, pg_catalog.hash_record_extended(ROW(t.a), 0))",
  };
  assert.deepEqual(columnHashes(data), [{ kind: 3, element: 0 }]);
  const others: Partial<TableData>[] = [
    { format: "text" },
    { fingerprintExpression: "pg_catalog.hash_record_extended(ROW(t.a), 0)" },
    { fingerprintExpression: null },
    { columnForms: [{ kind: "base", name: "tsvector" }] },
    { columnForms: [{ kind: "array", element: { kind: "base", name: "text" }, delimiter: "," }] },
    { columnForms: [{ kind: "composite", attributes: [{ kind: "base", name: "int4" }] }] },
  ];
  for (const other of others) assert.equal(columnHashes({ ...data, ...other }), null);
});
