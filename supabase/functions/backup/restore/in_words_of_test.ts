import assert from "node:assert/strict";
import type { Entry } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import { differingInPrint, linesInOtherWords } from "./in_words_of.ts";
import { hashesOf, packEntries } from "./slim_lines.ts";

function view(name: string, create: string[]): Entry {
  return {
    ...{ key: name, kind: "view", section: "pre-data", schema: "public", name, owner: null },
    ...{ identity: `view VIEW "public"."${name}"`, dependsOn: [] },
    statements: { create, drop: [], owner: [], comment: [], label: [], acl: [] },
  };
}

Deno.test("differingInPrint() finds what the target has in other words, where there are words to run again", () => {
  const live = new EntryIndex(["same", "other", "member"].map((name) => view(name, [`${name} 1`])));
  const backup = [
    view("same", ["same 1"]),
    view("other", ["other 2"]),
    view("gone", ["gone 1"]),
    view("member", []),
  ];
  assert.deepEqual(differingInPrint(backup, live).map(({ name }) => name), ["other"]);
});

Deno.test("linesInOtherWords() finds the lines by their hashes alone", () => {
  const names = Array.from({ length: 200 }, (_, at) => `view ${at}`);
  const backup = names.map((name) => view(name, [`${name} 1`]));
  const hashes = hashesOf([packEntries(backup, {})]);
  const live = [
    ...names.slice(50).map((name, at) => view(name, [`${name} ${at % 30 === 7 ? 2 : 1}`])),
    view("own", ["own 1"]),
  ];
  assert.deepEqual(linesInOtherWords(live, hashes), [57, 87, 117, 147, 177]);
});
