import assert from "node:assert/strict";
import type { Entry } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import { indexFirst } from "./index_first.ts";

const NONE = { create: [], drop: [], owner: [], comment: [], label: [], acl: [] };

function entry(key: string, given: Partial<Entry>, create: string[] = ["x"]): Entry {
  const common = { key, name: key, identity: key, schema: "public", owner: null, dependsOn: [] };
  const statements = { ...NONE, create };
  return { ...common, kind: "table", section: "post-data", statements, ...given };
}

/** What becomes of a constraint on a table whose rows have so many bytes. */
function made(create: string[], bytes = 8 << 20): Entry[] {
  const table = entry("t", { section: "pre-data" });
  const constraint = entry("c", { kind: "constraint", dependsOn: ["t"] }, create);
  const entries = [
    { ...constraint, statements: { ...constraint.statements, comment: ["COMMENT …"] } },
    entry("f", { kind: "foreign-key", dependsOn: ["t", "c"] }),
  ];
  const index = new EntryIndex([table, ...entries]);
  return indexFirst(entries, { bytes: new Map([["t", bytes]]), index });
}

const KEY = `ALTER TABLE ONLY "public"."t" ADD CONSTRAINT "t_pkey" PRIMARY KEY ("id", "a ""b"")")`;

Deno.test("a large table's key is built as an index, which the constraint then takes over", () => {
  const [index, constraint, other] = made([KEY, "ALTER TABLE …"]);
  assert.deepEqual(index!.statements, {
    ...NONE,
    create: [`CREATE UNIQUE INDEX "t_pkey" ON ONLY "public"."t" USING btree ("id", "a ""b"")")`],
  });
  assert.equal(index!.identity, `index INDEX "public"."t_pkey"`);
  assert.deepEqual(index!.dependsOn, ["t"]);
  assert.deepEqual(constraint!.statements, {
    ...NONE,
    create: [
      `ALTER TABLE ONLY "public"."t" ADD CONSTRAINT "t_pkey" PRIMARY KEY USING INDEX "t_pkey"`,
      "ALTER TABLE …",
    ],
    comment: ["COMMENT …"],
  });
  assert.deepEqual(constraint!.dependsOn, ["t", index!.key]);
  assert.equal(constraint!.key, "c");
  assert.deepEqual([other!.key, other!.dependsOn], ["f", ["t", "c"]]);
});

Deno.test("a small table's key is one statement", () => {
  assert.deepEqual(made([KEY], (8 << 20) - 1).map(({ key }) => key), ["c", "f"]);
});

const NAMED = `ALTER TABLE ONLY "public"."t" ADD CONSTRAINT "c" `;

for (
  const definition of [
    `PRIMARY KEY ("id") INCLUDE ("a")`,
    `UNIQUE NULLS NOT DISTINCT ("a")`,
    `UNIQUE ("a") WITH (fillfactor=70)`,
    `UNIQUE ("a") USING INDEX TABLESPACE "fast"`,
    `PRIMARY KEY ("id") DEFERRABLE INITIALLY DEFERRED`,
    `PRIMARY KEY ("id", "during" WITHOUT OVERLAPS)`,
    `EXCLUDE USING gist ("a" WITH =)`,
    `PRIMARY KEY ("x) UNIQUE (") USING INDEX TABLESPACE "y"`,
  ]
) {
  Deno.test(`${definition} says more than columns and is made as it is`, () => {
    const entries = made([NAMED + definition]);
    assert.deepEqual(entries.map(({ key }) => key), ["c", "f"]);
    assert.deepEqual(entries[0]!.statements.create, [NAMED + definition]);
  });
}
