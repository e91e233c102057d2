import assert from "node:assert/strict";
import type { Entry } from "../core/model.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import type { Session } from "../postgres/session.ts";
import { Failures } from "./failures.ts";
import { EntryMaker } from "./make_entries.ts";
import { EntryRunner } from "./run_statements.ts";

function table(name: string, dependsOn: string[] = []): Entry {
  return {
    key: name,
    kind: "table",
    section: "pre-data",
    schema: "public",
    name,
    identity: `table ${name}`,
    owner: null,
    dependsOn,
    statements: {
      create: [`CREATE ${name}`],
      drop: [],
      owner: [`OWNER ${name}`],
      comment: [],
      label: [],
      acl: [`GRANT ${name}`],
    },
  };
}

/** A maker, and what the server is told; it refuses whatever says one of the words. */
function makerFor(refused: string[], { lenient = false, goOn = true } = {}) {
  const sent: string[] = [];
  const session = {
    inTransaction: false,
    execute(sql: string) {
      sent.push(sql.replaceAll("\n;\n", "; "));
      const word = refused.find((each) => sql.includes(each));
      if (word === undefined) return Promise.resolve();
      const facts = { sqlState: "42601", serverMessage: `no ${word}`, severity: "ERROR" };
      return Promise.reject(
        new DatabaseError("run a statement", facts as unknown as DatabaseError["facts"]),
      );
    },
  } as unknown as Session;
  const failures = new Failures({ goOn });
  const runner = new EntryRunner({ lenient, unusableRoles: [] });
  return { maker: new EntryMaker({ runner, failures, optional: [] }), failures, session, sent };
}

Deno.test("objects and rights of many go to the server in one round trip", async () => {
  const { maker, session, sent } = makerFor([]);
  await maker.makeAll(session, [table("a"), table("b")], () => {});
  await maker.grantAll(session, [table("a"), table("b")]);
  assert.deepEqual(sent, ["CREATE a; OWNER a; CREATE b; OWNER b", "GRANT a; GRANT b"]);
});

Deno.test("when one of many fails, each is made alone, and what needs it is not tried", async () => {
  const { maker, session, sent, failures } = makerFor(["CREATE b"]);
  await maker.makeAll(session, [table("a"), table("b"), table("c", ["b"])], () => {});
  assert.deepEqual(sent.slice(1), ["CREATE a", "OWNER a", "CREATE b"]);
  assert.deepEqual(failures.failed.map(({ identity }) => identity), ["table b"]);
  assert.deepEqual(failures.skipped.map(({ identity }) => identity), ["table c"]);
});

Deno.test("rights that are refused cost the other objects nothing", async () => {
  const { maker, session, sent, failures } = makerFor(["GRANT a"]);
  await maker.grantAll(session, [table("a"), table("b")]);
  assert.equal(sent.at(-1), "GRANT b");
  assert.deepEqual(failures.failed.map(({ message }) => message), ["no GRANT a"]);
});

Deno.test("where the first failure ends a restore, every object goes alone and is named", async () => {
  const { maker, session } = makerFor(["CREATE b"], { goOn: false });
  await assert.rejects(
    maker.makeAll(session, [table("a"), table("b")], () => {}),
    /Cannot restore table b/,
  );
});

Deno.test("a role that may not do everything makes many objects in one transaction", async () => {
  const { maker, session, sent } = makerFor([], { lenient: true });
  await maker.makeAll(session, [table("a"), table("b")], () => {});
  assert.equal(sent[0], "BEGIN");
  assert.equal(sent.at(-1), "COMMIT");
  assert.ok(sent.includes("CREATE b"));
});
