import assert from "node:assert/strict";
import type { DataPart, Entry } from "../core/model.ts";
import { describePlan } from "./describe_plan.ts";
import type { RestorePlan, TableLoad } from "./plan_types.ts";

const load = (rows: number, clear: TableLoad["clear"]) => ({
  ...{ entry: {} as Entry, data: null, clear, checkForeignKeys: false },
  parts: [{ rows, rawBytes: rows * 1000 } as DataPart],
});

/** The sentences of a plan over a live database, with these changes. */
function describe(more: Partial<RestorePlan>): string[] {
  const empty = { lock: [], drop: [], create: [], adjust: [], clearOnly: [], load: [] };
  const rest = {
    hazards: [],
    missing: [],
    leftOut: [],
    beside: null,
    filling: null,
    backupId: "backup_1",
  };
  return describePlan({ mode: "over", ...empty, ...rest, ...more } as unknown as RestorePlan);
}

Deno.test("describePlan() says what is lost, what comes, and that there is a way back", () => {
  const lines = describe({
    load: [load(1200, "truncate"), load(34, "none")],
    clearOnly: ['"auth"."sessions"'],
    lock: ['"public"."a"', '"public"."b"'],
    drop: [{} as Entry],
    create: [{} as Entry, {} as Entry],
  });
  assert.deepEqual(lines, [
    "Restores 1,234 rows (1.2 MB) of 2 tables from backup_1 over the database: in 1 table all that " +
    "was written since then is lost; 1 table emptied. 2 tables cannot be written to until it is done.",
    "Definitions: 1 dropped, 2 made, 0 changed in place.",
    "A safety backup is made first; restoring that one is the way back.",
    "Nothing stands against it.",
  ]);
});

Deno.test("describePlan() names what stands against a plan, and what does not come back by its reasons", () => {
  const hazard = { objects: ["table a", "table b"], undoneBySafetyBackup: false, accepted: false };
  const identities = ["x", "y", "z", "v", "w"];
  const lines = describe({
    missing: [{ what: "extension", name: "postgis", reason: "the server does not offer it" }],
    hazards: [
      { ...hazard, name: "drops-table-unknown" },
      { ...hazard, name: "replaces-data", undoneBySafetyBackup: true },
      { ...hazard, name: "no-safety-backup", objects: [], accepted: true },
    ],
    leftOut: identities.map((identity, at) => ({ identity, reason: `reason ${Math.max(1, at)}` })),
  });
  assert.deepEqual(lines.slice(2), [
    "There is no way back: no safety backup is made.",
    "The target lacks 1 thing that it needs, such as extension postgis: the server does not offer it.",
    "Begins only when hazard drops-table-unknown is accepted: tables that the backup does not know " +
    "depend on replaced objects or hold names that it needs, and are dropped with their rows " +
    "(table a and 1 more).",
    "Not restored: x and 1 more: reason 1.",
    "Not restored: z: reason 2.",
    "Not restored: v: reason 3.",
    "Not restored: 1 more, see leftOut.",
    "As it stands it would be refused, and nothing changed.",
  ]);
});

Deno.test("describePlan() says that a copy beside, new schemas and an empty database lose nothing", () => {
  const beside = { schema: "shop", intoSchema: "copy", schemaIsLive: true, names: [] };
  assert.deepEqual(describe({ mode: "beside", beside, load: [load(1, "none")] }), [
    "Restores 1 row (1.0 kB) of 1 table from backup_1 as schema copy; nothing that is there is changed.",
    "Nothing stands against it.",
  ]);
  assert.match(describe({})[0]!, /over the database: no rows that are there are replaced\.$/);
  assert.match(describe({ mode: "empty" })[0]!, /^Restores 0 rows .* into an empty database\.$/);
});
