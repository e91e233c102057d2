import assert from "node:assert/strict";
import { asPrintedAgain } from "./as_printed_again.ts";

Deno.test("asPrintedAgain() casts the elements of a list instead of the list", () => {
  assert.equal(
    asPrintedAgain(
      `CHECK ((("a")::"text" = ANY ((ARRAY['x'::character varying, 'it''s, ]'::character varying])::"text"[])))`,
    ),
    `CHECK ((("a")::"text" = ANY (ARRAY[('x'::character varying)::"text", ('it''s, ]'::character varying)::"text"])))`,
  );
});

Deno.test("asPrintedAgain() leaves what reads the same after a second round", () => {
  for (
    const sql of [
      `CHECK (("c" = ANY (ARRAY['a'::"bpchar", 'b'::"bpchar"])))`,
      `CHECK ((("a")::"text" = ANY (ARRAY[('x'::character varying)::"text"])))`,
      `CHECK (("n" = ANY (ARRAY[1, 2])))`,
    ]
  ) assert.equal(asPrintedAgain(sql), sql);
});
