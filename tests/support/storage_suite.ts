/**
 * What every storage must do: one suite, called by a few lines for each storage.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";

/** An empty storage for one test, and what to do with it afterwards. */
export interface StorageUnderTest {
  storage: Storage;
  /** Another handle on the same place, as a second process would have; left out where there is none. */
  reopen?: () => Storage;
  close?: () => Promise<void>;
}

/** Features that not every server has. */
export interface StorageSuiteOptions {
  /** Of writers at the same moment exactly one creates the object. Default true. */
  createsOnce?: boolean;
  /** Listings come in order of the names' bytes. Default true. */
  listsInOrder?: boolean;
  /** False where a server goes on from test to test. Default true. */
  sanitize?: boolean;
}

/** Registers the tests of a storage. */
export function testStorage(
  name: string,
  make: () => Promise<StorageUnderTest>,
  options: StorageSuiteOptions = {},
): void {
  const { sanitize = true } = options;
  const sanitizers = { sanitizeOps: sanitize, sanitizeResources: sanitize };
  const test = (sentence: string, run: (under: StorageUnderTest) => Promise<void>) =>
    Deno.test(`${name}: ${sentence}`, sanitizers, async () => {
      const under = await make();
      try {
        await run(under);
      } finally {
        await under.close?.();
      }
    });

  test("get, head and list see what put has answered for", async ({ storage, reopen }) => {
    const body = bytes(1000);
    assert.deepEqual(await storage.put("chunks/ab/x", body), { created: true });
    for (const seen of [storage, reopen?.() ?? storage]) {
      assert.deepEqual(await seen.get("chunks/ab/x"), body);
      const head = await seen.head("chunks/ab/x");
      assert.equal(head?.sizeBytes, 1000);
      assert.equal(head?.name, "chunks/ab/x");
      assert.deepEqual(await names(seen, ""), ["chunks/ab/x"]);
    }
  });

  test("put leaves an object that is there as it is", async ({ storage }) => {
    await storage.put("a", bytes(10));
    assert.deepEqual(await storage.put("a", bytes(20)), { created: false });
    assert.equal((await storage.get("a")).length, 10);
  });

  if (options.createsOnce ?? true) {
    test("put of several writers at once creates one object, whole", async ({ storage }) => {
      const bodies = Array.from({ length: 8 }, (_, i) => bytes(5000 + i));
      const answers = await Promise.all(bodies.map((body) => storage.put("race", body)));
      assert.equal(answers.filter((answer) => answer.created).length, 1);
      const winner = bodies[answers.findIndex((answer) => answer.created)];
      assert.deepEqual(await storage.get("race"), winner);
    });
  }

  test("get does not read an object of more bytes than the reader takes", async ({ storage }) => {
    await storage.put("big", bytes(5000));
    await assert.rejects(storage.get("big", { maxBytes: 4999 }), isCode("object_oversized"));
    assert.deepEqual(await storage.get("big", { maxBytes: 5000 }), bytes(5000));
    assert.equal((await storage.get("big", { from: 10, to: 20, maxBytes: 10 })).length, 10);
  });

  test("put keeps empty and large objects byte by byte", async ({ storage }) => {
    const large = bytes(17 * 1024 * 1024 + 3);
    await storage.put("empty", new Uint8Array(0));
    await storage.put("large", large);
    assert.equal((await storage.get("empty")).length, 0);
    assert.equal((await storage.head("empty"))?.sizeBytes, 0);
    const back = await storage.get("large");
    // Compared by hand: a failing deepEqual would print millions of numbers.
    assert.equal(back.length, large.length);
    assert.ok(back.every((byte, at) => byte === large[at]), "every byte of the large object");
    assert.equal((await storage.head("large"))?.sizeBytes, large.length);
  });

  test("put does not keep the caller's array", async ({ storage }) => {
    const body = bytes(100);
    await storage.put("a", body);
    body.fill(0);
    assert.deepEqual(await storage.get("a"), bytes(100));
  });

  test("get reads ranges, and as far as there is something", async ({ storage }) => {
    const body = bytes(100);
    await storage.put("a", body);
    assert.deepEqual(await storage.get("a", { from: 10, to: 20 }), body.slice(10, 20));
    assert.deepEqual(await storage.get("a", { from: 90 }), body.slice(90));
    assert.deepEqual(await storage.get("a", { to: 5 }), body.slice(0, 5));
    assert.deepEqual(await storage.get("a", { from: 90, to: 200 }), body.slice(90));
    assert.equal((await storage.get("a", { from: 100 })).length, 0);
    assert.equal((await storage.get("a", { from: 5, to: 5 })).length, 0);
  });

  test("get of nothing fails with storage_missing, head says null", async ({ storage }) => {
    await assert.rejects(storage.get("nothing/here"), isCode("storage_missing"));
    await assert.rejects(storage.get("nothing", { from: 1, to: 2 }), isCode("storage_missing"));
    assert.equal(await storage.head("nothing/here"), null);
  });

  test("list gives all names of a prefix in order of their bytes", async ({ storage }) => {
    assert.deepEqual(await names(storage, ""), []);
    const all = ["a-b/1", "a.b", "a/1", "a/10", "a/2", "a/b/c", "a0", "b/x", "b=/y", "A"];
    for (const name of all) await storage.put(name, bytes(1));
    const sorted = all.toSorted((a, b) => (a < b ? -1 : 1));
    const { listsInOrder = true } = options;
    const listed = async (prefix: string) => {
      const found = await names(storage, prefix);
      return listsInOrder ? found : found.toSorted((a, b) => (a < b ? -1 : 1));
    };
    assert.deepEqual(await listed(""), sorted);
    for (const prefix of ["a", "a/", "a/1", "a/b", "b", "nothing", "nothing/"]) {
      const expected = sorted.filter((name) => name.startsWith(prefix));
      assert.deepEqual(await listed(prefix), expected, `prefix ${prefix}`);
    }
  });

  test("delete removes an object and does not mind when there is none", async ({ storage }) => {
    await storage.put("a/b", bytes(3));
    await storage.delete("a/b");
    assert.equal(await storage.head("a/b"), null);
    assert.deepEqual(await names(storage, ""), []);
    await storage.delete("a/b");
    assert.deepEqual(await storage.put("a/b", bytes(4)), { created: true });
  });

  test("names that leave the storage are refused", async ({ storage }) => {
    for (const name of ["../x", "/x", "a//b", "a/", "", "a/./b", ".hidden", "a b", "ä", "a\\b"]) {
      await assert.rejects(
        async () => await storage.put(name, bytes(1)),
        isCode("storage_refused"),
      );
      await assert.rejects(async () => await storage.get(name), isCode("storage_refused"));
    }
  });

  test("an aborted signal stops a call with its reason", async ({ storage }) => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const isReason = (error: unknown) => error === reason;
    await assert.rejects(async () => await storage.put("a", bytes(1), signal), isReason);
    await assert.rejects(async () => await storage.get("a", { signal }), isReason);
    assert.equal(await storage.head("a"), null);
  });
}

/** Bytes that differ from place to place. */
export function bytes(length: number): Uint8Array {
  const result = new Uint8Array(length);
  for (let i = 0; i < length; i++) result[i] = (i * 31 + (i >> 8) * 7) & 0xff;
  return result;
}

/** A check for `assert.rejects`. */
export function isCode(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof BackupError, `expected a BackupError, got ${error}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}

/** Names of a listing. */
export async function names(storage: Storage, prefix: string): Promise<string[]> {
  const result: string[] = [];
  for await (const { name } of storage.list(prefix)) result.push(name);
  return result;
}
