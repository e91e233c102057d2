import assert from "node:assert/strict";
import { requestLine } from "./request_line.ts";

Deno.test("requestLine() is a line for a shell with the README's variables", () => {
  assert.equal(requestLine("init"), `curl -s -X POST "$URL?action=init" -H "apikey: $KEY"`);
  assert.equal(
    requestLine("restore", { reason: "o'clock" }),
    `curl -s -X POST "$URL?action=restore" -H "apikey: $KEY" -d '{"reason":"o'\\''clock"}'`,
  );
});
