import assert from "node:assert/strict";
import type { DataPart, Entry, TableData } from "./model.ts";
import { EntryPacker } from "./packed_entries.ts";

const STATEMENTS = {
  ...{ create: ["CREATE TABLE s.t (i int)"], drop: ["DROP TABLE s.t"] },
  ...{ owner: ["ALTER TABLE s.t OWNER TO o"], comment: [], label: [], acl: [] },
};

const TABLE: Entry = {
  ...{ key: "pg_class:1", kind: "table", section: "pre-data", schema: "s", name: "t" },
  ...{
    identity: 'table "s"."t"',
    owner: "o",
    statements: STATEMENTS,
    dependsOn: ["pg_namespace:2"],
  },
  table: {
    ...{ oid: 1, sqlName: '"s"."t"', relkind: "r", persistence: "p", accessMethod: "heap" },
    ...{ tableBytes: 8192, toastBytes: 0, isPartition: false, hasRowSecurity: false },
    ...{ forceRowSecurity: false, condition: null, referencedTables: [] },
    columns: [{
      ...{ name: "i", number: 1, typeOid: 23, typeName: "integer", notNull: false },
      ...{ generated: "", identity: "" },
    }],
  },
};

const SCHEMA: Entry = {
  ...{ key: "pg_namespace:2", kind: "schema", section: "pre-data", schema: null, name: "s" },
  ...{ identity: 'schema "s"', owner: null, dependsOn: [], managed: true, extension: "x" },
  ...{ statements: { ...STATEMENTS, acl: ["GRANT USAGE ON SCHEMA s TO o"] } },
};

const DATA: TableData = {
  ...{ entry: "pg_class:1:data", columns: ['"i"'], format: "binary", serverVersion: 170010 },
  ...{ encoding: "UTF8", columnTypes: ["integer"], extensionVersions: {} },
  ...{ columnForms: [{ kind: "base", name: "int4" }], fingerprintExpression: null },
};

const PART: DataPart = {
  ...{ entry: "pg_class:1:data", part: 0, pages: null, format: "binary", encoding: "UTF8" },
  ...{ rows: 3, rawBytes: 40, fingerprint: null, pieces: [{ chunk: "c", offset: 0, length: 40 }] },
  damaged: [{ ctid: "(0,1)", reason: "torn" }],
};

Deno.test("packed values read, copy and print like those that were packed", () => {
  const packer = new EntryPacker();
  const entries = [SCHEMA, TABLE].map((entry) => [entry, packer.entry(entry)] as const);
  for (const [entry, packed] of entries) {
    for (const name of Object.keys(entry) as (keyof Entry)[]) {
      assert.deepEqual(plain(packed[name]), entry[name], name);
    }
    assert.deepEqual(plain({ ...packed }), entry);
    for (const list of Object.keys(STATEMENTS) as (keyof typeof STATEMENTS)[]) {
      assert.deepEqual(packed.statements[list], entry.statements[list], list);
    }
  }
  const packed = [[DATA, packer.tableData(DATA)], [PART, packer.dataPart(PART)]] as const;
  for (const [value, lazy] of packed) {
    for (const [name, one] of Object.entries(value)) {
      assert.deepEqual(lazy[name as keyof typeof lazy], one, name);
    }
    assert.deepEqual(plain(lazy), value);
  }
});

Deno.test("a table's facts and what an entry lacks are told as before", () => {
  const packed = new EntryPacker().entry(TABLE);
  assert.equal(packed.table!.loadRoot, undefined);
  assert.deepEqual(packed.table!.columns, TABLE.table!.columns);
  assert.ok(!("managed" in packed) && !("sequence" in packed));
});

Deno.test("of what many share there is one text", () => {
  const packer = new EntryPacker();
  const [schema, table] = [packer.entry(SCHEMA), packer.entry(TABLE)];
  assert.deepEqual(table.dependsOn, [schema.key]);
});

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
