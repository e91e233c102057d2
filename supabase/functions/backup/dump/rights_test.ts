import assert from "node:assert/strict";
import { parseAclItem, rightsOfNewPublic, rightsStatements } from "./rights.ts";

const table = { grantType: "TABLE", on: 'TABLE "s"."t"', owner: "owner" };

Deno.test("an access right is read with quoted names and grant options", () => {
  assert.deepEqual(parseAclItem('"we=ird ""r"=r*w/"a/b"'), {
    grantee: 'we=ird "r',
    grantor: "a/b",
    privileges: new Map([["r", true], ["w", false]]),
  });
});

Deno.test("no grantee means PUBLIC", () => {
  assert.deepEqual(rightsStatements([], ["=r/owner"], table), [
    'GRANT SELECT ON TABLE "s"."t" TO PUBLIC',
  ]);
});

Deno.test("what is no access right is refused", () => {
  assert.throws(() => parseAclItem("nonsense"), TypeError);
});

Deno.test("equal rights need no statement", () => {
  assert.deepEqual(rightsStatements(["a=r/owner"], ["a=r/owner"], table), []);
});

Deno.test("rights are taken before any are given, and the owner's own come first", () => {
  assert.deepEqual(
    rightsStatements(["owner=arwdDxtm/owner"], ["a=r/owner", "owner=rw/owner"], table),
    [
      'REVOKE ALL ON TABLE "s"."t" FROM "owner"',
      'GRANT SELECT,UPDATE ON TABLE "s"."t" TO "owner"',
      'GRANT SELECT ON TABLE "s"."t" TO "a"',
    ],
  );
});

Deno.test("rights with and without grant option make two statements", () => {
  assert.deepEqual(rightsStatements([], ["a=r*w/owner"], table), [
    'GRANT UPDATE ON TABLE "s"."t" TO "a"',
    'GRANT SELECT ON TABLE "s"."t" TO "a" WITH GRANT OPTION',
  ]);
});

Deno.test("all rights of version 17 are ALL, those of version 15 are listed", () => {
  assert.deepEqual(rightsStatements([], ["a=arwdDxtm/owner"], table), [
    'GRANT ALL ON TABLE "s"."t" TO "a"',
  ]);
  assert.deepEqual(rightsStatements([], ["a=arwdDxt/owner"], table), [
    'GRANT SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE ON TABLE "s"."t" TO "a"',
  ]);
});

Deno.test("what somebody else granted on is granted in his name", () => {
  assert.deepEqual(rightsStatements([], ["a=r/b"], table), [
    'SET ROLE "b"',
    'GRANT SELECT ON TABLE "s"."t" TO "a"',
    "RESET ROLE",
  ]);
});

Deno.test("rights on a column name the column with each privilege", () => {
  assert.deepEqual(rightsStatements([], ["a=rw/owner"], { ...table, column: '"c"' }), [
    'GRANT SELECT("c"),UPDATE("c") ON TABLE "s"."t" TO "a"',
  ]);
});

Deno.test("default privileges are written in their role's name, not in the grantor's", () => {
  const target = {
    grantType: "FUNCTIONS",
    on: "FUNCTIONS",
    owner: "r",
    prefix: 'ALTER DEFAULT PRIVILEGES FOR ROLE "r" ',
  };
  assert.deepEqual(rightsStatements(["=X/r", "r=X/r"], ["r=X/r"], target), [
    'ALTER DEFAULT PRIVILEGES FOR ROLE "r" REVOKE ALL ON FUNCTIONS FROM PUBLIC',
  ]);
});

Deno.test("public belongs to its owner, and everybody may use it", () => {
  assert.deepEqual(rightsOfNewPublic(['"o/""=d"=UC/"o/""=d"']), [
    '"o/""=d"=UC/"o/""=d"',
    '=U/"o/""=d"',
  ]);
});
