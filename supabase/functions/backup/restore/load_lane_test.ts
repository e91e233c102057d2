import assert from "node:assert/strict";
import type { DataPart, Entry } from "../core/model.ts";
import type { CopyResult, Session } from "../postgres/session.ts";
import { LoadLane } from "./load_lane.ts";
import type { LoadItem } from "./load_rows.ts";

/** A session that tells what it is asked for, and takes COPY data when it is let. */
function session(events: string[], mayCopy: () => Promise<void>): Session {
  let inTransaction = false;
  const fake = {
    get inTransaction() {
      return inTransaction;
    },
    execute(sql: string) {
      events.push(sql);
      inTransaction = false;
      return Promise.resolve();
    },
    async copyIn(sql: string, source: AsyncIterable<Uint8Array>): Promise<CopyResult> {
      events.push(sql.replace(/COPY .*/, "COPY"));
      inTransaction = true;
      await mayCopy();
      let bytes = 0;
      for await (const slice of source) bytes += slice.length;
      return { rows: bytes, bytes };
    },
  };
  return fake as unknown as Session;
}

/** A part whose rows are bytes; reading it is an event. */
function item(part: number, events: string[], bytes: () => Uint8Array = () => new Uint8Array(3)) {
  const of: LoadItem = {
    load: {
      entry: { kind: "table-data", identity: "rows", table: { sqlName: "t" } } as unknown as Entry,
      data: { columns: ["a"] } as unknown as LoadItem["load"]["data"],
      parts: [],
      clear: "none",
      checkForeignKeys: false,
    },
    part: { part, rows: 3, format: "binary", pieces: [] } as unknown as DataPart,
  };
  return {
    ...of,
    readPieces: async function* () {
      events.push(`read ${part}`);
      await Promise.resolve();
      yield bytes();
    },
  };
}

Deno.test("a part is read while the one before it is loaded, and loaded when its turn comes", async () => {
  const events: string[] = [];
  const begun = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<void>();
  const mayCopy = () => {
    begun.resolve();
    return promise;
  };
  const lane = new LoadLane(session(events, mayCopy));
  const both = [lane.load(item(1, events)), lane.load(item(2, events))];
  await begun.promise;
  assert.deepEqual(events, ["read 1", "read 2", "BEGIN; COPY"]);
  assert.equal(lane.busy, 2);
  resolve();
  await Promise.all(both);
  assert.deepEqual(events.slice(3), ["COMMIT", "BEGIN; COPY", "COMMIT"]);
  assert.equal(lane.busy, 0);
});

Deno.test("a part that fails is taken back and lets the next one have its turn", async () => {
  const events: string[] = [];
  const lane = new LoadLane(session(events, () => Promise.resolve()));
  const damaged = () => {
    throw new Error("damaged");
  };
  const short = () => new Uint8Array(2);
  const results = await Promise.allSettled([
    lane.load(item(1, events, damaged)),
    lane.load(item(2, events, short)),
    lane.load(item(3, events)),
  ]);
  assert.deepEqual(results.map(({ status }) => status), ["rejected", "rejected", "fulfilled"]);
  assert.match(String((results[1] as PromiseRejectedResult).reason), /brought 2 rows, not 3/);
  assert.deepEqual(events.filter((event) => !event.startsWith("read")), [
    ...["BEGIN; COPY", "ROLLBACK"],
    ...["BEGIN; COPY", "ROLLBACK"],
    ...["BEGIN; COPY", "COMMIT"],
  ]);
});

Deno.test("a part whose rows nobody asks for leaves its source, which was read ahead", async () => {
  const events: string[] = [];
  const refused = () => Promise.reject(new Error("no such table"));
  const lane = new LoadLane(session(events, refused));
  const source = async function* () {
    try {
      yield new Uint8Array(3);
    } finally {
      events.push("left");
    }
  };
  const part = { ...item(1, events), readPieces: source };
  await assert.rejects(lane.load(part), /no such table/);
  assert.deepEqual(events, ["BEGIN; COPY", "ROLLBACK", "left"]);
});
