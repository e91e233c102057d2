import assert from "node:assert/strict";
import type { Draft } from "./context.ts";
import { newDraft } from "./families/new_draft.ts";
import { packNodes, unpackNodes } from "./slice_nodes.ts";

Deno.test("packed drafts are the same for the order, in the same order", () => {
  const table = { catalog: "pg_class", kind: "table", schema: 'odd "one"' } as const;
  const drafts = [
    newDraft({ ...table, oid: 1, name: "a%b", address: 'TABLE "odd ""one"""."a%b"' }),
    newDraft({ ...table, oid: 2, name: "", address: "TABLE DATA", part: "data" }),
    newDraft({ catalog: "pg_namespace", oid: 1, kind: "schema", name: "s", address: 'SCHEMA "s"' }),
    newDraft({
      ...{ catalog: "pg_constraint", oid: 3, kind: "check-constraint", schema: "s", name: "t c" },
      ...{ address: 'CONSTRAINT "c" ON "s"."t"', section: "post-data", inlineIn: "pg_class:1" },
      dependsOn: ["pg_class:1", "pg_proc:7"],
    }),
  ];
  const many = Array.from({ length: 1000 }, () => drafts).flat();
  const packs = packNodes(many);
  assert.equal(packs.length, 2);
  const unpacked = JSON.parse(JSON.stringify(packs)).flatMap(unpackNodes);
  const told = many.map((draft) => ({ ...draft, create: [], drop: [], commentable: false }));
  const names = [...Object.keys(told[0]!), "inlineIn"];
  const plain = (draft: Draft) => names.map((name) => [name, Reflect.get(draft, name)]);
  assert.deepEqual(unpacked.map(plain), told.map(plain));
});
