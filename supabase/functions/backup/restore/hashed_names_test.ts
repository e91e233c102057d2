import assert from "node:assert/strict";
import { HashedNames } from "./hashed_names.ts";

Deno.test("names are found by their numbers again, those that are there twice too, and others hardly ever", () => {
  const names = Array.from({ length: 500 }, (_, at) => `table TABLE "public"."größe ${at}"`);
  const hashed = HashedNames.from(HashedNames.of([...names, names[7]!]).toString());
  assert.deepEqual(hashed.find([names[499]!, names[0]!]), [0, 499]);
  assert.deepEqual(hashed.find([names[7]!]), [7, 500]);
  assert.deepEqual(hashed.find(["view VIEW"]), []);
  assert.deepEqual(hashed.find([]), []);
});

Deno.test("two names of one hash are both found, for whoever looks at them", () => {
  // Known to have the same 32-bit FNV-1a.
  assert.deepEqual(HashedNames.of(["costarring", "liquid"]).find(["liquid"]), [0, 1]);
});
