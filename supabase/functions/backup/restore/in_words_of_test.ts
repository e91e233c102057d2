import assert from "node:assert/strict";
import type { Entry } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import { differingInPrint } from "./in_words_of.ts";
import { slimEntry } from "./slim_backup.ts";

function view(name: string, create: string[]): Entry {
  return {
    ...{ key: name, kind: "view", section: "pre-data", schema: "public", name, owner: null },
    ...{ identity: `view VIEW "public"."${name}"`, dependsOn: [] },
    statements: { create, drop: [], owner: [], comment: [], label: [], acl: [] },
  };
}

Deno.test("differingInPrint() finds what the target has in other words, where there are words to run again", () => {
  const live = new EntryIndex(["same", "other", "slim"].map((name) => view(name, [`${name} 1`])));
  const backup = [
    view("same", ["same 1"]),
    view("other", ["other 2"]),
    view("gone", ["gone 1"]),
    slimEntry(view("slim", ["slim 2"])),
  ];
  assert.deepEqual(differingInPrint(backup, live).map(({ name }) => name), ["other"]);
});
