import assert from "node:assert/strict";
import { EXAMPLES } from "./examples.ts";
import { ACTIONS } from "./mod.ts";
import { openapiDocument } from "./openapi.ts";

Deno.test("every action that needs a field has an example, and each example would be taken", () => {
  for (const { name, input } of ACTIONS) {
    const example = EXAMPLES[name] ?? {};
    assert.equal(input.safeParse(example).success, true, name);
  }
  const names = ACTIONS.map(({ name }) => name);
  for (const name of Object.keys(EXAMPLES)) assert.ok(names.includes(name), name);
});

Deno.test("the OpenAPI document shows the examples", () => {
  const text = JSON.stringify(openapiDocument(ACTIONS));
  assert.ok(text.includes(`"example":${JSON.stringify(EXAMPLES.restore)}`));
  assert.ok(text.includes('"example":"failed"'), "a field of a query");
});
