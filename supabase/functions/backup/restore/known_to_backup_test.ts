import assert from "node:assert/strict";
import type { Entry, EntryKind } from "../core/model.ts";
import { knownToBackup } from "./known_to_backup.ts";

function entry(key: string, kind: EntryKind, more: Partial<Entry> = {}): Entry {
  const identity = `${kind} ${key.replace("live ", "")}`;
  return {
    ...{ key, kind, section: "post-data", schema: "public", name: key.replace("live ", "") },
    ...{ identity, owner: null, dependsOn: [] },
    statements: { create: [], drop: [], owner: [], comment: [], label: [], acl: [] },
    ...more,
  };
}

const BACKUP = [
  entry("t", "table"),
  entry("u", "table"),
  entry("u", "index", { key: "i", dependsOn: ["t", "gone", "u"] }),
  entry("gone", "view"),
];

Deno.test("knownToBackup() gives a target's entries the order and the dependencies of the backup", () => {
  const live = [
    entry("live i", "index", { identity: "index u" }),
    entry("live own", "index"),
    entry("live u", "table"),
    entry("live t", "table"),
  ];
  const found = knownToBackup(live, { backup: BACKUP, replicaMode: true })!;
  assert.deepEqual(found.map(({ key, dependsOn }) => [key, dependsOn]), [
    ["live t", []],
    ["live u", []],
    ["live i", ["live t", "live u"]],
    ["live own", []],
  ]);
});

Deno.test("knownToBackup() says nothing where something unknown may act on what is restored", () => {
  const may = (unknown: Entry, more: Partial<Parameters<typeof knownToBackup>[1]> = {}) =>
    knownToBackup([unknown], { backup: BACKUP, replicaMode: true, ...more }) !== null;
  const firing = ["CREATE TRIGGER", 'ALTER TABLE "t" ENABLE ALWAYS TRIGGER "x"'];
  const statements = { ...BACKUP[0]!.statements, create: firing };
  assert.equal(may(entry("x", "foreign-key")), true);
  assert.equal(may(entry("x", "foreign-key"), { replicaMode: false }), false);
  assert.equal(may(entry("x", "trigger")), true);
  assert.equal(may(entry("x", "trigger"), { replicaMode: false }), false);
  assert.equal(may(entry("x", "trigger", { statements })), false);
  const attached = [...BACKUP, entry("p", "table-attach")];
  assert.equal(may(entry("x", "foreign-key"), { backup: attached }), false);
  assert.equal(may(entry("x", "check-constraint")), false);
  assert.equal(may(entry("x", "check-constraint", { section: "pre-data" })), true);
  assert.equal(may(entry("x", "table-attach")), true);
  assert.equal(may(entry("x", "table-attach", { name: "t" })), false);
  assert.equal(may(entry("x", "row-security", { name: "t" })), false);
  assert.equal(may(entry("x", "refresh")), false);
  assert.equal(may(entry("x", "policy")), true);
});
