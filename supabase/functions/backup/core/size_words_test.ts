import assert from "node:assert/strict";
import { countWords, sizeWords } from "./size_words.ts";

Deno.test("sizeWords() takes the unit that suits", () => {
  const said = [0, 999, 1000, 1_530_000, 99_950_000, 123_456_789, 5e12, 7e16].map(sizeWords);
  assert.deepEqual(said, [
    ...["0 B", "999 B", "1.0 kB", "1.5 MB", "100.0 MB", "123 MB", "5.0 TB", "70000 TB"],
  ]);
});

Deno.test("countWords() counts one and many", () => {
  assert.deepEqual([0, 1, 1234].map((count) => countWords(count, "row")), [
    ...["0 rows", "1 row", "1,234 rows"],
  ]);
});
