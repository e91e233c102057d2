import assert from "node:assert/strict";
import { quoteOptionNames } from "./text_search_configurations.ts";

Deno.test("option names of dictionaries are quoted, whichever way the server kept them", () => {
  const quoted = `"stopwords" = 'english', "accept" = 'false'`;
  assert.equal(quoteOptionNames("stopwords = 'english', accept = 'false'"), quoted);
  assert.equal(quoteOptionNames(quoted), quoted);
});

Deno.test("option values stay as they are", () => {
  assert.equal(
    quoteOptionNames(`"Odd ""Name" = E'a\\\\b, c = ''d''', n = 5`),
    `"Odd ""Name" = E'a\\\\b, c = ''d''', "n" = 5`,
  );
});

Deno.test("options of an unknown form are left alone", () => {
  assert.equal(quoteOptionNames("a == b"), "a == b");
});
