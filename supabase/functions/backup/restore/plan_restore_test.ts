import assert from "node:assert/strict";
import { BackupError } from "../core/errors.ts";
import type { Entry, EntryKind, EntryStatements, TableFacts } from "../core/model.ts";
import { planRestore, refuseUnfit } from "./plan_restore.ts";
import type { BackupFacts, RestoreRequest, TargetFacts } from "./plan_types.ts";

function entry(
  kind: EntryKind,
  name: string,
  more: Partial<Omit<Entry, "statements">> & { statements?: Partial<EntryStatements> } = {},
): Entry {
  const { statements, ...rest } = more;
  return {
    key: `${kind}:${name}`,
    kind,
    section: ["index", "foreign-key", "trigger"].includes(kind)
      ? "post-data"
      : kind === "table-data"
      ? "data"
      : "pre-data",
    schema: "public",
    name,
    identity: `${kind} ${name}`,
    owner: "postgres",
    dependsOn: [],
    statements: {
      create: [`CREATE ${kind} ${name}`],
      drop: [`DROP ${kind} ${name}`],
      owner: [],
      comment: [],
      label: [],
      acl: [],
      ...statements,
    },
    ...rest,
  };
}

function backup(entries: Entry[], source: Partial<BackupFacts["source"]> = {}): BackupFacts {
  return {
    backupId: "backup_1",
    source: {
      systemIdentifier: "1",
      database: "app",
      serverVersion: 170010,
      serverVersionText: "17.10",
      encoding: "UTF8",
      sqlText: "utf8",
      profile: "plain",
      readAs: { role: "postgres", superuser: true },
      settings: {},
      ...source,
    },
    entries,
    tableData: [],
    dataParts: [],
  };
}

function target(entries: Entry[], more: Partial<TargetFacts> = {}): TargetFacts {
  return {
    database: "app",
    serverVersion: 170010,
    encoding: "UTF8",
    convertibleEncodings: ["LATIN1"],
    isSupabase: false,
    role: { name: "postgres", superuser: true, createRole: true, replicaMode: true },
    extensions: { pgcrypto: ["1.3"] },
    roles: [{ name: "postgres", usable: true, grantable: true }],
    accessMethods: ["heap"],
    tablespaces: [],
    lackedProviders: [],
    lackedCollations: [],
    eventTriggers: [],
    clusterOwner: "postgres",
    unwritableTables: [],
    lockCapacity: 6400,
    entries,
    ...more,
  };
}

function plan(facts: BackupFacts, live: TargetFacts, request: RestoreRequest = {}) {
  return planRestore({ backup: facts, target: live, request, safetyBackup: true });
}

function code(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof BackupError ? error.code : String(error);
  }
  return "none";
}

const identities = (entries: readonly Entry[]) => entries.map((each) => each.identity);

Deno.test("planRestore() leaves equal objects alone and replaces changed ones with what depends on them", () => {
  const kept = entry("table", "kept");
  const table = entry("table", "t");
  const view = entry("view", "v", { dependsOn: [table.key] });
  const live = [
    kept,
    entry("table", "t", { statements: { create: ["CREATE another"] } }),
    view,
  ];
  const made = plan(backup([kept, table, view]), target(live));
  assert.equal(made.mode, "over");
  assert.deepEqual(identities(made.drop), ["view v", "table t"]);
  assert.deepEqual(identities(made.create), ["table t", "view v"]);
  assert.deepEqual(made.hazards.map((hazard) => [hazard.name, hazard.objects]), [
    ["replaces-object", ["table t"]],
  ]);
  assert.equal(code(() => refuseUnfit(made)), "none");
});

Deno.test("planRestore() names tables that the backup does not know and that would fall", () => {
  const type = entry("type", "mood");
  const live = [
    entry("type", "mood", { statements: { create: ["CREATE another"] } }),
    entry("table", "later", { dependsOn: [type.key] }),
  ];
  const made = plan(backup([type]), target(live));
  assert.deepEqual(made.hazards.find((hazard) => hazard.name === "drops-table-unknown")?.objects, [
    "table later",
  ]);
  assert.equal(code(() => refuseUnfit(made)), "restore_refused");
  const accepted = plan(backup([type]), target(live), { acceptHazards: ["drops-table-unknown"] });
  assert.equal(code(() => refuseUnfit(accepted)), "none");
});

Deno.test("planRestore() switches row security off that the backup's table has not, and lets policies stay", () => {
  const changed = entry("table", "changed");
  const equal = entry("table", "equal");
  const later = entry("table", "later");
  const rowSecurity = [changed, equal, later].map((table) =>
    entry("row-security", table.name, { dependsOn: [table.key] })
  );
  const policy = entry("policy", "p", { dependsOn: [equal.key] });
  const live = [
    entry("table", "changed", { statements: { create: ["CREATE another"] } }),
    equal,
    later,
    ...rowSecurity,
    policy,
  ];
  const made = plan(backup([changed, equal]), target(live));
  assert.deepEqual(identities(made.drop), [
    "row-security equal",
    "row-security changed",
    "table changed",
  ]);
  assert.deepEqual(identities(made.create), ["table changed"]);
  assert.deepEqual(made.hazards.map((hazard) => [hazard.name, hazard.objects]), [
    ["replaces-object", ["table changed", "row-security changed", "row-security equal"]],
  ]);
});

Deno.test("planRestore() changes comments and rights without making the object again", () => {
  const table = entry("table", "t", {
    statements: { acl: ['GRANT SELECT ON TABLE "t" TO "reader"'], comment: [] },
  });
  const live = entry("table", "t", {
    statements: {
      acl: ['REVOKE ALL ON TABLE "t" FROM PUBLIC', 'GRANT INSERT ON TABLE "t" TO "a TO b"'],
      comment: [`COMMENT ON TABLE "t IS x" IS 'old'`],
    },
  });
  const made = plan(backup([table]), target([live]));
  assert.deepEqual(made.adjust, [{
    identity: "table t",
    statements: [
      'REVOKE INSERT ON TABLE "t" FROM "a TO b"',
      'GRANT ALL ON TABLE "t" TO PUBLIC',
      'COMMENT ON TABLE "t IS x" IS NULL',
      'GRANT SELECT ON TABLE "t" TO "reader"',
    ],
  }]);
  assert.deepEqual([made.drop, made.create], [[], []]);
});

Deno.test("planRestore() finds what the target lacks before anything is touched", () => {
  const extension = entry("extension", "postgis", { schema: null });
  const table = entry("table", "t", {
    dependsOn: [extension.key],
    owner: "gone",
    statements: { owner: ["ALTER TABLE t OWNER TO gone"] },
  });
  const facts = backup([extension, table], { encoding: "EUC_JP", serverVersion: 180000 });
  const made = plan(facts, target([]));
  assert.deepEqual(made.missing.map((each) => `${each.what} ${each.name}`), [
    "encoding EUC_JP",
    "extension postgis",
    "role gone",
  ]);
  assert.deepEqual(made.hazards.map((hazard) => hazard.name), ["older-target"]);
  assert.equal(code(() => refuseUnfit(made)), "target_unfit");
});

Deno.test("planRestore() leaves out an extension that was accepted as missing, and what needs it", () => {
  const extension = entry("extension", "postgis", { schema: null });
  const table = entry("table", "t", { dependsOn: [extension.key] });
  const index = entry("index", "i", { dependsOn: [table.key] });
  const made = plan(backup([extension, table, index, entry("table", "u")]), target([]), {
    acceptHazards: ["missing-extension"],
  });
  assert.deepEqual(identities(made.create), ["table u"]);
  assert.deepEqual(made.leftOut.map((each) => each.identity), [
    "extension postgis",
    "table t",
    "index i",
  ]);
});

Deno.test("planRestore() leaves platform extensions out of a plain target without a word of consent", () => {
  const extension = entry("extension", "pg_graphql", { schema: null });
  const facts = backup([extension, entry("table", "u")], { profile: "supabase" });
  const made = plan(facts, target([]), { target: "plain" });
  assert.deepEqual([made.missing, made.hazards], [[], []]);
  assert.deepEqual(made.leftOut.map((each) => each.identity), ["extension pg_graphql"]);
});

Deno.test("planRestore() takes the platform's own objects as given on Supabase and makes them elsewhere", () => {
  const auth = entry("table", "users", { schema: "auth", managed: true });
  const facts = backup([auth], { profile: "supabase" });
  const onSupabase = plan(facts, target([auth], { isSupabase: true }));
  assert.deepEqual([onSupabase.create, onSupabase.expect], [[], []]);
  assert.deepEqual(identities(plan(facts, target([])).create), ["table users"]);
});

Deno.test("planRestore() leaves rows of the platform out that its release cannot take or nobody else may write", () => {
  const table = (name: string, oid: number, columns: string[]) => {
    const facts = {
      ...{ oid, sqlName: `auth.${name}` },
      columns: columns.map((column) => {
        const [name, typeName = "uuid"] = column.split(" ");
        return { name, typeName, generated: "" };
      }),
    } as TableFacts;
    const ofPlatform = { schema: "auth", managed: true as const };
    const made = entry("table", name, ofPlatform);
    const dependsOn = [made.key];
    return [made, entry("table-data", name, { ...ofPlatform, dependsOn, table: facts })];
  };
  const saved = [
    ...table("users", 1, ["id"]),
    ...table("older", 2, ["id", "level"]),
    ...table("moved", 5, ["id", "at bigint"]),
    ...table("as_text", 6, ["id", "at bigint"]),
    ...table("theirs", 3, ["id"]),
    ...table("theirs_empty", 4, ["id"]),
  ];
  const facts = backup(saved, { profile: "supabase" });
  facts.tableData = ["users", "moved"].map((name) => ({
    ...{ entry: `table-data:${name}`, format: "binary", serverVersion: 170010, encoding: "UTF8" },
    ...{ extensionVersions: {}, columnForms: [] },
  } as unknown as BackupFacts["tableData"][number]));
  facts.dataParts = ["users", "older", "theirs", "moved", "as_text"].map((name) => ({
    ...{ entry: `table-data:${name}`, rows: 1, rawBytes: 1 },
  } as BackupFacts["dataParts"][number]));
  const live = [
    ...table("users", 11, ["id", "newer"]),
    ...table("older", 12, ["id"]),
    ...table("moved", 15, ["id", "at timestamptz"]),
    ...table("as_text", 16, ["id", "at timestamptz"]),
    ...table("theirs", 13, ["id"]),
    ...table("theirs_empty", 14, ["id"]),
  ];
  const role = { name: "postgres", superuser: false, createRole: true, replicaMode: true };
  const there = { isSupabase: true, unwritableTables: [13, 14], role };
  const made = plan(facts, target(live, there));
  assert.deepEqual(made.load.map((load) => load.entry.name).sort(), ["as_text", "users"]);
  assert.deepEqual(made.lock.toSorted(), ["auth.as_text", "auth.users"]);
  assert.deepEqual(
    made.leftOut.map(({ identity, reason }) => [
      identity,
      /level|may not write|other types for the columns at,/.exec(reason)?.[0],
    ]),
    [
      ["table-data older", "level"],
      ["table-data moved", "other types for the columns at,"],
      ["table-data theirs", "may not write"],
    ],
  );
});

Deno.test("planRestore() refuses more locks than the server has room for", () => {
  const live = [entry("table", "t", { statements: { create: ["CREATE another"] } })];
  const made = plan(backup([entry("table", "t")]), target(live, { lockCapacity: 2 }));
  assert.deepEqual(made.missing.map((each) => each.name), ["max_locks_per_transaction"]);
});

Deno.test("planRestore() refuses mode empty for a target with objects, and names it does not hold", () => {
  const facts = backup([entry("table", "t")]);
  const live = target([entry("table", "other")]);
  assert.equal(code(() => plan(facts, live, { mode: "empty" })), "target_not_empty");
  assert.equal(code(() => plan(facts, live, { tables: ["public.nothing"] })), "invalid_request");
  assert.equal(code(() => plan(facts, live, { mode: "beside" })), "invalid_request");
});

Deno.test("planRestore() needs a word before it restores over a database without a way back", () => {
  const facts = backup([entry("table", "t")]);
  const live = target([entry("table", "other")]);
  const made = planRestore({ backup: facts, target: live, request: {}, safetyBackup: false });
  assert.equal(code(() => refuseUnfit(made)), "restore_refused");
  assert.deepEqual(made.hazards.map((hazard) => hazard.name), ["no-safety-backup"]);
});

Deno.test("planRestore() leaves out rights on parameters that the cluster's owner has anyway", () => {
  const grant = (name: string, ...grantees: string[]) => ({
    ...entry("acl", `PARAMETER "${name}"`),
    identity: `acl PARAMETER "${name}"`,
    statements: {
      ...entry("acl", name).statements,
      create: [],
      acl: grantees.map((role) => `GRANT SET ON PARAMETER "${name}" TO "${role}"`),
    },
  });
  const facts = backup([grant("a", "postgres"), grant("b", "postgres", "app")]);
  const made = plan(facts, target([]));
  assert.deepEqual(made.leftOut.map((each) => each.identity).sort(), [
    'acl PARAMETER "a"',
    'right on PARAMETER "b"',
  ]);
  const rights = made.expect.map((each) => each.statements.acl);
  assert.deepEqual(rights, [[], ['GRANT SET ON PARAMETER "b" TO "app"']]);
  const others = plan(facts, target([], { clusterOwner: "supabase_admin" }));
  assert.deepEqual(others.expect, facts.entries);
});

Deno.test("planRestore() copies a table beside without foreign keys to tables whose rows stay behind", () => {
  const parent = entry("table", "parent");
  const key = entry("constraint", "parent pkey", { dependsOn: [parent.key], section: "post-data" });
  const child = entry("table", "child");
  const tied = entry("foreign-key", "child fk", { dependsOn: [child.key, parent.key, key.key] });
  const rows = [parent, child].map((table) =>
    entry("table-data", table.name, { dependsOn: [table.key] })
  );
  const objects = [parent, child, ...rows, key, tied];
  const copyOf = (entries: Entry[], request: RestoreRequest) => {
    const made = plan(backup(entries), target(entries), { ...request, intoSchema: "copy" });
    return [
      identities(made.create),
      made.leftOut.map((each) => `${each.identity}: ${each.reason}`),
    ];
  };
  assert.deepEqual(copyOf(objects, { tables: ["public.child"] }), [
    ["table child"],
    ["foreign-key child fk: it refers to table parent, which is not copied"],
  ]);
  const whole = ["table parent", "table child", "constraint parent pkey", "foreign-key child fk"];
  assert.deepEqual(copyOf(objects, { tables: ["public.child", "public.parent"] }), [whole, []]);
  // The rows of the parent were excluded from the backup.
  const without = objects.filter((each) => each !== rows[0]);
  assert.deepEqual(copyOf(without, { schemas: ["public"] }), [
    whole.slice(0, 3),
    ["foreign-key child fk: it refers to table parent, whose rows are not copied"],
  ]);
});
