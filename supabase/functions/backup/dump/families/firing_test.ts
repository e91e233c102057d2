import assert from "node:assert/strict";
import { firingAction } from "./firing.ts";

Deno.test("firingAction() says each of the server's letters", () => {
  assert.deepEqual(["O", "D", "A", "R"].map((one) => firingAction(one, "TRIGGER", '"t"')), [
    'ENABLE TRIGGER "t"',
    'DISABLE TRIGGER "t"',
    'ENABLE ALWAYS TRIGGER "t"',
    'ENABLE REPLICA TRIGGER "t"',
  ]);
});

Deno.test("firingAction() refuses a letter that it does not know", () => {
  assert.throws(() => firingAction("X", "RULE", '"r"'), RangeError);
});
