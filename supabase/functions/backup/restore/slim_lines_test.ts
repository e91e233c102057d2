import assert from "node:assert/strict";
import type { Entry, EntryKind } from "../core/model.ts";
import { digestOf } from "./digest.ts";
import { hashOf } from "./hashed_names.ts";
import { slimEntry } from "./slim_backup.ts";
import { hashesOf, packEntries, unpackEntries } from "./slim_lines.ts";

function entry(key: string, kind: EntryKind, more: Partial<Entry> = {}): Entry {
  const create = [`CREATE ${key}`];
  return {
    ...{ key, kind, section: "pre-data", schema: "public", name: `größe ${key}`, owner: "me" },
    ...{ identity: `${kind} ${key}`, dependsOn: ["pg_namespace:2200"] },
    statements: { create, drop: [], owner: ["ALTER"], comment: [], label: [], acl: [] },
    ...more,
  };
}

const NONE = { create: [], drop: [], owner: [], comment: [], label: [], acl: [] };
const SOME = [
  entry("a", "table", { dependsOn: [] }),
  entry("b", "index", { owner: null, statements: NONE, dependsOn: ["a", "c", "x:1", "a"] }),
  entry("c", "function", { extension: "e", dependsOn: ["x:1"] }),
  entry("d", "view", {
    statements: { ...NONE, create: ["one", 'two COLLATE "C"'], acl: ["GRANT"] },
    outside: ["somewhere"],
  }),
  entry("e", "sequence-set", { sequence: { lastValue: "7", isCalled: true } }),
  entry("f", "table", { managed: true }),
];

Deno.test("unpackEntries() gives what slimEntry() makes, with the digests and without", () => {
  const packed = JSON.parse(JSON.stringify(packEntries(SOME, {})));
  const slim = SOME.map((each) => slimEntry(each, {}));
  assert.deepEqual(unpackEntries(packed, { withDigests: true }), slim);
  const without = unpackEntries(packed, { withDigests: false });
  assert.deepEqual(without[3]!.statements.create, ['two COLLATE "C"']);
  assert.deepEqual(without[0]!.statements.create, []);
  assert.equal(without[2]!.statements.create[0], "CREATE c");
  assert.deepEqual(without.map(({ dependsOn }) => dependsOn), slim.map((each) => each.dependsOn));
});

Deno.test("hashesOf() puts the hashes of several packs one behind the other", () => {
  const packs = [SOME.slice(0, 4), [], SOME.slice(4)].map((some) => packEntries(some, {}));
  const { identities, keys, prints } = hashesOf(packs);
  assert.deepEqual([...identities], SOME.map(({ identity }) => hashOf(identity)));
  assert.deepEqual([...keys], SOME.map(({ key }) => hashOf(key)));
  assert.deepEqual([...prints], SOME.map(({ statements }) => digestOf(statements.create)[0]));
});
