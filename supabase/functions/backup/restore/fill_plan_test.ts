import assert from "node:assert/strict";
import type { Entry, EntryKind, EntryStatements, TableFacts } from "../core/model.ts";
import { planRestore } from "./plan_restore.ts";
import type { BackupFacts, RestorePlan, TargetFacts } from "./plan_types.ts";

type More = Partial<Omit<Entry, "statements">> & { statements?: Partial<EntryStatements> };

function entry(kind: EntryKind, name: string, { statements, ...more }: More = {}): Entry {
  const none = { owner: [], comment: [], label: [], acl: [] };
  const made = { create: [`CREATE ${kind} ${name}`], drop: [`DROP ${kind} ${name}`] };
  return {
    ...{ key: `${kind}:${name}`, kind, schema: "public", name, identity: `${kind} ${name}` },
    ...{ section: "pre-data", owner: null, dependsOn: [], ...more },
    statements: { ...none, ...made, ...statements },
  };
}

/** A table and its rows. */
function table(name: string, more: More = {}): Entry[] {
  const facts = { sqlName: `"public"."${name}"`, columns: [], condition: null };
  const one = entry("table", name, more);
  const rows = entry("table-data", name, {
    ...{ section: "data", dependsOn: [one.key], table: facts as unknown as TableFacts },
  });
  return [one, rows];
}

/** On that table. */
const on = (kind: EntryKind, name: string, create: string, more: More = {}): Entry =>
  entry(kind, `t ${name}`, {
    ...{ section: "post-data", dependsOn: ["table:t"], ...more },
    statements: { create: [create], ...more.statements },
  });

const ROLE = { name: "postgres", superuser: false, createRole: true, replicaMode: true };

function fill(
  saved: Entry[],
  live: Entry[],
  role: Partial<TargetFacts["role"]> = {},
): RestorePlan {
  const source = { serverVersion: 170010, encoding: "UTF8", readAs: { superuser: true } };
  const lists = { extensions: {}, accessMethods: ["heap"], tablespaces: [], lackedProviders: [] };
  const more = { lackedCollations: [], eventTriggers: [], unwritableTables: [], roles: [] };
  const backup = { backupId: "b", source, entries: saved, tableData: [], dataParts: [] };
  const target = {
    ...{ ...lists, ...more, database: "app", serverVersion: 170010, encoding: "UTF8" },
    ...{ isSupabase: false, clusterOwner: "postgres", lockCapacity: 1, convertibleEncodings: [] },
    ...{ role: { ...ROLE, ...role }, entries: live },
  };
  return planRestore({
    ...{ backup: backup as unknown as BackupFacts, target: target as unknown as TargetFacts },
    ...{ request: { mode: "over" }, safetyBackup: false, fills: true },
  });
}

Deno.test("fillPlan() drops, empties and locks nothing, and asks for no word", () => {
  const saved = [...table("t"), on("index", "i", "CREATE INDEX i"), ...table("gone")];
  const plan = fill(saved, saved.slice(0, 3));
  assert.deepEqual([plan.drop, plan.adjust, plan.lock, plan.clearOnly], [[], [], [], []]);
  assert.deepEqual(plan.create.map(({ identity }) => identity), ["table gone"]);
  assert.deepEqual(
    plan.load.map(({ entry, clear, fill }) => [entry.name, clear, fill !== undefined]).sort(),
    [["gone", "none", false], ["t", "none", true]],
  );
  assert.deepEqual([plan.hazards, plan.missing], [[], []]);
  assert.deepEqual(plan.filling?.inTheWay, []);
});

Deno.test("fillPlan() sets aside what fires in replica mode and what rows may break, in the order that it needs", () => {
  const saved = [
    ...table("t"),
    on("check-constraint", "c", "ADD CHECK c NOT VALID"),
    on("trigger", "plain", "CREATE TRIGGER plain"),
    on("trigger", "always", "CREATE TRIGGER always; ALTER TABLE t ENABLE ALWAYS TRIGGER always"),
    entry("event-trigger", "e", { section: "post-data", schema: null, owner: "postgres" }),
    ...table("other"),
  ];
  const plan = fill(saved, saved);
  const [t, other] = plan.load.toSorted((a, b) => b.entry.name.localeCompare(a.entry.name));
  assert.deepEqual(t!.fill!.aside.drop, [
    "DROP event-trigger e",
    "DROP trigger t always",
    "DROP check-constraint t c",
  ]);
  assert.deepEqual(t!.fill!.aside.make, [
    "ADD CHECK c NOT VALID",
    "CREATE TRIGGER always; ALTER TABLE t ENABLE ALWAYS TRIGGER always",
    "CREATE event-trigger e",
  ]);
  assert.deepEqual(other!.fill!.aside, { drop: [], make: [] });
  assert.deepEqual(plan.filling!.statements.make, ["CREATE event-trigger e"]);
  assert.deepEqual([plan.filling!.inTheWay, plan.create], [[], []]);
});

Deno.test("fillPlan() names what cannot be kept from acting on rows", () => {
  const saved = [
    ...table("t"),
    on("trigger", "plain", "CREATE TRIGGER plain"),
    on("foreign-key", "k", "ADD FOREIGN KEY k"),
    on("index", "i", "CREATE INDEX i"),
  ];
  assert.deepEqual(fill(saved, saved, { replicaMode: false }).filling!.inTheWay, [
    "trigger t plain",
    "foreign-key t k",
  ]);
  assert.deepEqual(fill(saved, saved).filling!.inTheWay, []);
  // The copy that a partition has of its table's trigger, switched to ALWAYS alone.
  const copy = on("trigger", "copy", "ALTER TABLE t ENABLE ALWAYS TRIGGER copy", {
    statements: { create: ["ALTER TABLE t ENABLE ALWAYS TRIGGER copy"], drop: [] },
  });
  assert.deepEqual(fill([...table("t"), copy], [...table("t"), copy]).filling!.inTheWay, [
    "trigger t copy",
  ]);
});

Deno.test("fillPlan() names what differs: definitions, rights, large objects; rights of a schema are given", () => {
  const acl = (...given: string[]) => ({ statements: { acl: given } });
  const large = entry("large-object", "1", { schema: null });
  const pages = entry("large-object-data", "all", { section: "data", schema: null });
  const saved = [
    entry("schema", "public", acl("GRANT USAGE ON SCHEMA public TO app")),
    ...table("t", acl("GRANT SELECT ON t TO app")),
    on("index", "i", "CREATE INDEX i"),
    large,
    pages,
  ];
  const live = [
    entry("schema", "public"),
    ...table("t"),
    on("index", "i", "CREATE INDEX another"),
    large,
    pages,
  ];
  const plan = fill(saved, live);
  assert.deepEqual(plan.filling!.inTheWay.toSorted(), [
    "index t i",
    "large-object 1",
    "table t",
  ]);
  assert.deepEqual(plan.adjust.map(({ identity }) => identity), ["schema public", "table t"]);
  const without = [...saved.slice(0, 1), large, pages];
  assert.deepEqual(fill(without, [entry("schema", "public")]).filling!.inTheWay, []);
});
