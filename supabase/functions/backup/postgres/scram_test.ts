import assert from "node:assert/strict";
import { ScramExchange } from "./scram.ts";

const SERVER_FIRST = "r=abcdefXYZ,s=c2FsdHNhbHQ=,i=4096";

Deno.test("a server that did not prove itself is refused", async () => {
  const exchange = new ScramExchange("pencil", "abcdef");
  assert.equal(exchange.first(), "n,,n=,r=abcdef");
  assert.match(await exchange.final(SERVER_FIRST), /^c=biws,r=abcdefXYZ,p=[A-Za-z0-9+/]{43}=$/);
  assert.throws(() => exchange.verify("v=AAAA"), { code: "database_protocol" });
  assert.throws(() => exchange.verify("e=other-error"), { code: "database_protocol" });
});

Deno.test("a server that does not take up the client's nonce is refused", async () => {
  for (const first of ["r=other,s=c2FsdA==,i=4096", "r=abcdef,s=c2FsdA==,i=4096", "nonsense"]) {
    await assert.rejects(new ScramExchange("pencil", "abcdef").final(first), {
      code: "database_protocol",
    });
  }
});
