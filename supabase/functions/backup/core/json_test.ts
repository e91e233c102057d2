import assert from "node:assert/strict";
import { summaryFirst } from "./json.ts";

Deno.test("summaryFirst() lets every object begin with its summary, and changes nothing else", () => {
  const value = { plan: { a: [1, { b: null, summary: "in" }] }, z: "z", summary: ["s"] };
  const text = JSON.stringify(summaryFirst(value));
  assert.equal(text, '{"summary":["s"],"plan":{"a":[1,{"summary":"in","b":null}]},"z":"z"}');
  assert.deepEqual([null, 5, "x", [], {}].map(summaryFirst), [null, 5, "x", [], {}]);
});
