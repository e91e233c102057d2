import assert from "node:assert/strict";
import type { Entry, EntryKind } from "../core/model.ts";
import { expectedRoles } from "./expected_roles.ts";

const role = (oid: number, name: string) => entry("role", { key: `pg_authid:${oid}`, name });
const member = (of: number, by: number) =>
  entry("role-membership", {
    key: `pg_authid:${of}:member-${by}-by-10`,
    dependsOn: [`pg_authid:${of}`, `pg_authid:${by}`],
  });

Deno.test("a restore answers for the roles that it made and for those that its objects name", () => {
  const made = role(1, "made");
  const named = role(2, "owner of the table");
  const granted = role(3, "reader");
  const foreign = role(4, "of another database");
  const ofNamed = member(2, 3);
  const ofForeign = member(3, 4);
  const setting = entry("role-setting", { key: "pg_authid:4:settings" });
  const table = entry("table", {
    owner: "owner of the table",
    acl: ['GRANT SELECT ON TABLE "public"."t" TO "reader"'],
  });
  const all = [made, named, granted, foreign, ofNamed, ofForeign, setting, table];
  assert.deepEqual(
    [...expectedRoles(all, new Set([made]))],
    [made, named, granted, ofNamed],
  );
});

function entry(
  kind: EntryKind,
  { acl = [], ...more }: Partial<Entry> & { acl?: string[] },
): Entry {
  return {
    key: kind,
    kind,
    section: "pre-data",
    schema: null,
    name: kind,
    identity: kind,
    owner: null,
    dependsOn: [],
    statements: { create: [], drop: [], owner: [], comment: [], label: [], acl },
    ...more,
  };
}
