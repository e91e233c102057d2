import assert from "node:assert/strict";
import { optionList, tablespaceClause, withClause } from "./options.ts";

Deno.test("optionList() quotes names and values, whatever they hold", () => {
  assert.equal(optionList(["fillfactor=70", "a=b=c"]), `"fillfactor"='70', "a"='b=c'`);
  assert.equal(optionList([`x"y=it's`]), `"x""y"='it''s'`);
  assert.equal(optionList(["path=a\\b"]), `"path"=E'a\\\\b'`);
});

Deno.test("withClause() names the TOAST table's options apart and is empty without any", () => {
  assert.equal(
    withClause(["fillfactor=70"], ["autovacuum_enabled=false"]),
    `\nWITH ("fillfactor"='70', toast."autovacuum_enabled"='false')`,
  );
  assert.equal(withClause(null, []), "");
});

Deno.test("tablespaceClause() is empty for the database's own", () => {
  assert.equal(tablespaceClause(null), "");
  assert.equal(tablespaceClause("fast disk"), `\nTABLESPACE "fast disk"`);
});
