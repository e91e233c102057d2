/**
 * What every store of parts must keep, run on each of them. Time is moved by hand. Longer than usual: each test
 * is one rule of the one contract.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { Lease } from "../../supabase/functions/backup/core/part.ts";
import {
  begin,
  BOUNDS,
  claim,
  end,
  final,
  isConflict,
  LEASE,
  part,
  type TestedStore,
} from "./tested_store.ts";

/** Registers the suite. `open` gives a store without jobs. */
export function testPartStore(
  name: string,
  open: () => Promise<TestedStore & AsyncDisposable>,
): void {
  const test = (rule: string, run: (tested: TestedStore) => Promise<void>) =>
    Deno.test(`${name}: ${rule}`, async () => {
      await using tested = await open();
      await run(tested);
    });

  test("parts of a step are taken only when all of the steps below are done", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a"), part(0, "b"), part(1, "c")]);
    const a = await claim(store);
    const b = await claim(store);
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null);
    assert.equal(await store.complete(a, { result: 1 }), "recorded");
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null);
    assert.equal(await store.complete(b, { result: 2, add: [part(2, "d")] }), "recorded");
    const c = await claim(store);
    assert.deepEqual([a.name, b.name, c.name, c.round, c.attempt], ["a", "b", "c", 1, 1]);
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null);
    await store.complete(c, { result: null });
    const d = await claim(store);
    await store.complete(d, { result: null, finish: { result: { answer: 42 } } });
    const done = await tested.job(job.jobId, "backup");
    assert.equal(done?.status, "completed");
    assert.deepEqual(done?.result, { answer: 42 });
    await end(store, job.jobId, "completed");
  });

  test("payloads and results come back as they were, whatever is in them", async ({ store }) => {
    const odd = { text: 'ä "\u0000\ud83d\ude00\ud800\\u0041', list: [1.5, null, true, { a: [] }] };
    const job = await begin({ store }, [{ step: 0, name: "odd", payload: odd, bytes: 7 }], {
      request: odd,
    });
    const lease = await claim(store);
    assert.deepEqual(lease.payload, odd);
    assert.equal(lease.bytes, 7);
    assert.deepEqual((await store.find(job.jobId))?.request, odd);
    await store.complete(lease, { result: odd, add: [part(1, "x")] });
    const found = await Array.fromAsync(store.results(lease, "odd"));
    assert.deepEqual(found, [{ part: 1, step: 0, name: "odd", payload: odd, result: odd }]);
  });

  test("results come in the order of parts, of the name and round asked for", async (tested) => {
    const { store } = tested;
    const many = Array.from({ length: 103 }, () => part(0, "many"));
    await begin(tested, [...many, part(0, "other"), part(1, "last")]);
    const leases: Lease[] = [];
    for (let i = 0; i < 104; i++) leases.push(await claim(store));
    for (const lease of leases.reverse()) await store.complete(lease, { result: lease.part });
    const found = await Array.fromAsync(store.results(leases[0]!, "many"));
    assert.deepEqual(found.map(({ result }) => result), many.map((_, index) => index + 1));
    const before = { ...leases[0]!, round: 2 };
    assert.deepEqual(await Array.fromAsync(store.results(before, "many")), []);
  });

  test("a part that is not renewed is given to another, and the late result is refused", async (tested) => {
    const { store } = tested;
    await begin(tested, [part(0, "a"), part(1, "b")]);
    const late = await claim(store, "slow");
    tested.advance(900_000);
    assert.deepEqual(await store.renew(late, LEASE), { lost: false, cancel: false });
    tested.advance(900_000);
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null);
    tested.advance(200_000);
    const second = await claim(store, "quick");
    assert.equal(second.part, late.part);
    assert.deepEqual([second.attempt, second.previous], [2, "interrupted"]);
    assert.ok(BigInt(second.token) > BigInt(late.token));
    assert.deepEqual(await store.renew(late, LEASE), { lost: true, cancel: false });
    assert.equal(await store.complete(late, { result: "late", add: [part(1, "c")] }), "lost");
    assert.equal(await store.fail(late, final()), "lost");
    await store.release(late);
    assert.deepEqual(await store.renew(second, LEASE), { lost: false, cancel: false });
    assert.equal(await store.complete(second, { result: "good" }), "recorded");
    assert.equal(await store.complete(second, { result: "twice" }), "lost");
    const [done] = await Array.fromAsync(store.results(second, "a"));
    assert.equal(done?.result, "good");
    assert.equal((await claim(store)).name, "b");
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null); // c was never added
  });

  test("a result whose lease has ended counts as long as nobody else has taken the part", async (tested) => {
    await begin(tested, [part(0, "a"), part(1, "b")]);
    const lease = await claim(tested.store);
    tested.advance(5_000_000);
    assert.equal(await tested.store.complete(lease, { result: null }), "recorded");
  });

  test("a part whose workers are lost again and again ends the job", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a")]);
    for (let attempt = 1; attempt <= BOUNDS.maxAttempts; attempt++) {
      assert.equal((await claim(store)).attempt, attempt);
      tested.advance(1_001_000);
    }
    const lease = await claim(store);
    assert.equal(lease.name, "end");
    assert.equal(lease.payload, "failed");
    const failed = await tested.job(job.jobId, "backup");
    assert.deepEqual([failed?.status, failed?.error?.code], ["failed", "interrupted"]);
  });

  test("a part that failed in passing waits, and its tries are counted", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a")]);
    const error = new BackupError("storage_unreachable", "Cannot reach it: no answer");
    for (let attempt = 1; attempt < BOUNDS.maxAttempts; attempt++) {
      const lease = await claim(store);
      assert.equal(lease.previous, attempt === 1 ? null : "storage_unreachable");
      assert.equal(
        await store.fail(lease, { kind: "retry", error, afterMs: 5_000_000 }),
        "recorded",
      );
      assert.equal(await store.claim({ worker: "w", ...LEASE }), null);
      const { parts, nextInMs } = await store.waiting();
      assert.equal(parts, 1);
      assert.ok(nextInMs! > 4_000_000 && nextInMs! <= 5_000_000, String(nextInMs));
      tested.advance(5_001_000);
      assert.equal((await store.waiting({ jobId: job.jobId })).nextInMs, 0);
    }
    const last = await claim(store);
    await store.fail(last, { kind: "retry", error, afterMs: 5_000_000 });
    const failed = await tested.job(job.jobId, "backup");
    assert.deepEqual([failed?.status, failed?.error?.code], ["failed", "storage_unreachable"]);
    await end(store, job.jobId, "failed");
  });

  test("a part that is given back is there at once, and the try does not count", async (tested) => {
    await begin(tested, [part(0, "a")]);
    for (let i = 0; i < 5; i++) {
      const lease = await claim(tested.store);
      assert.equal(lease.attempt, 1);
      await tested.store.release(lease);
    }
  });

  test("a part that waits is taken again after its pause, with what it has learnt and all its tries", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a")], { bounds: { ...BOUNDS, maxAttempts: 2 } });
    await claim(store);
    tested.advance(1_100_000);
    const second = await claim(store);
    assert.equal(second.attempt, 2);
    const again = { afterMs: 60_000, payload: { seen: 1 } };
    assert.equal(await store.complete(second, { result: null, again }), "recorded");
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null);
    const { parts, nextInMs, workers } = await store.waiting({ jobId: job.jobId });
    assert.deepEqual([parts, workers], [1, 0]);
    assert.ok(nextInMs !== null && nextInMs > 0 && nextInMs <= 60_000);
    tested.advance(60_000);
    const third = await claim(store);
    assert.deepEqual([third.part, third.payload, third.attempt, third.previous], [
      ...[second.part, { seen: 1 }, 1, null],
    ]);
    await store.complete(third, { result: null, finish: { result: {} } });
    await end(store, job.jobId, "completed");
  });

  test("what a first part has learnt for good it knows when the job begins again, and no other part does", async (tested) => {
    const { store } = tested;
    await begin(tested, [part(0, "a"), part(0, "b")]);
    const [, b] = [await claim(store), await claim(store)];
    const again = { afterMs: 0, payload: { seen: 1 }, forGood: true };
    assert.equal(await store.complete(b, { result: null, again }), "recorded");
    const same = await claim(store);
    assert.deepEqual([same.name, same.payload], ["b", { seen: 1 }]);
    const error = new BackupError("snapshot_lost", "Cannot go on: it is gone");
    await store.fail(same, { kind: "begin-again", error });
    const [first, second] = [await claim(store), await claim(store)];
    assert.deepEqual([first.name, first.payload], ["a", part(0, "a").payload]);
    assert.deepEqual([second.name, second.payload, second.round], ["b", { seen: 1 }, 2]);
  });

  test("a job may begin again from other first parts, from which it then always begins", async (tested) => {
    const { store } = tested;
    await begin(tested, [part(0, "older")], { bounds: { ...BOUNDS, maxRounds: 3 } });
    const error = new BackupError("other_release", "Cannot go on: another release began it");
    const first = [part(0, "newer"), part(1, "last")];
    await store.fail(await claim(store), { kind: "begin-again", error, first });
    await store.complete(await claim(store), { result: null }); // the end of the first round
    const newer = await claim(store);
    assert.deepEqual([newer.name, newer.round], ["newer", 2]);
    await store.fail(newer, { kind: "begin-again", error });
    await store.complete(await claim(store), { result: null });
    const again = await claim(store);
    assert.deepEqual([again.name, again.round], ["newer", 3]);
  });

  test("a part that waits ends with a job that is cancelled", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a")]);
    const lease = await claim(store);
    await store.cancel(job.jobId);
    const again = { afterMs: 60_000, payload: null };
    assert.equal(await store.complete(lease, { result: null, again }), "lost");
    assert.equal((await tested.job(job.jobId, "backup"))?.status, "cancelled");
    await end(store, job.jobId, "cancelled");
  });

  test("a final failure ends the job, and what still runs is not wanted", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a"), part(0, "b"), part(0, "c")]);
    const [a, b] = [await claim(store), await claim(store)];
    assert.equal(await store.fail(a, final()), "recorded");
    const failed = await tested.job(job.jobId, "backup");
    assert.deepEqual([failed?.status, failed?.error?.code], ["failed", "damaged_source"]);
    assert.deepEqual(await store.renew(b, LEASE), { lost: true, cancel: false });
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null); // not before b has let go
    assert.equal(await store.complete(b, { result: null, finish: { result: {} } }), "lost");
    await end(store, job.jobId, "failed");
  });

  test("a job that begins again has its first parts, and results of before do not count", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "first")]);
    const first = await claim(store);
    await store.complete(first, { result: "old", add: [part(1, "a"), part(1, "b"), part(2, "z")] });
    const [a, b] = [await claim(store), await claim(store)];
    const error = new BackupError("snapshot_lost", "Cannot go on: it is gone");
    assert.equal(await store.fail(a, { kind: "begin-again", error }), "recorded");
    assert.equal(await store.complete(b, { result: "of another moment" }), "lost");
    const ending = await claim(store);
    assert.deepEqual([ending.name, ending.payload, ending.round], ["end", "begins-again", 1]);
    const seen = await Array.fromAsync(store.results(ending, "first"));
    assert.deepEqual(seen.map(({ result }) => result), ["old"]);
    const again = await claim(store);
    assert.deepEqual([again.name, again.round, again.attempt], ["first", 2, 1]);
    assert.ok(again.part > b.part);
    assert.deepEqual(await Array.fromAsync(store.results(again, "first")), []);
    await store.complete(ending, { result: null });
    const progress = await store.progress(job.jobId);
    assert.deepEqual([progress?.partsDone, progress?.partsTotal], [0, 1]);
    assert.equal(await store.fail(again, { kind: "begin-again", error }), "recorded");
    const failed = await tested.job(job.jobId, "backup");
    assert.deepEqual([failed?.status, failed?.error?.code], ["failed", "snapshot_lost"]);
    await end(store, job.jobId, "failed");
  });

  test("a cancelled job ends when the last part has let go", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a"), part(0, "b"), part(0, "c")]);
    const [a, b] = [await claim(store), await claim(store)];
    await store.cancel(job.jobId);
    assert.equal((await tested.job(job.jobId, "backup"))?.status, "running");
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null);
    assert.equal((await store.renew(a, LEASE)).cancel, true);
    assert.equal(await store.complete(a, { result: null }), "lost");
    assert.equal((await tested.job(job.jobId, "backup"))?.status, "running");
    const error = new BackupError("cancelled", "Cannot finish: cancelled");
    await store.fail(b, { kind: "final", error });
    const ended = await tested.job(job.jobId, "backup");
    assert.deepEqual([ended?.status, ended?.error?.code], ["cancelled", "cancelled"]);
    assert.equal((await store.renew(b, LEASE)).lost, true);
    await end(store, job.jobId, "cancelled");
  });

  test("a cancelled job whose worker is gone ends with its lease", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a")]);
    await claim(store);
    await store.cancel(job.jobId);
    tested.advance(1_001_000);
    await end(store, job.jobId, "cancelled");
    assert.equal((await tested.job(job.jobId, "backup"))?.status, "cancelled");
  });

  test("a job that nobody works at is cancelled at once, and one that is over stays as it is", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a")]);
    await store.cancel(job.jobId);
    assert.equal((await tested.job(job.jobId, "backup"))?.status, "cancelled");
    await end(store, job.jobId, "cancelled");
    await store.cancel(job.jobId);
    await store.cancel("backup_unknown");
    assert.equal((await tested.job(job.jobId, "backup"))?.status, "cancelled");
  });

  test("what ended the job well counts even when it was to be cancelled", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a")]);
    const lease = await claim(store);
    await store.cancel(job.jobId);
    const finish = { result: { done: true }, sizeBytes: 5, checksum: "c", location: "here" };
    assert.equal(await store.complete(lease, { result: null, finish }), "recorded");
    const done = await tested.job(job.jobId, "backup");
    assert.deepEqual(
      [done?.status, done?.sizeBytes, done?.checksum, done?.location, done?.error],
      ["completed", 5, "c", "here", null],
    );
  });

  test("parts that replace one stand on its step, and it has no result", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "big", 100), part(1, "later")]);
    const big = await claim(store);
    await store.complete(big, { result: null, split: [part(0, "half", 50), part(0, "half", 40)] });
    const progress = await store.progress(job.jobId);
    assert.deepEqual([progress?.partsTotal, progress?.bytesTotal], [3, 90]);
    const halves = [await claim(store), await claim(store)];
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null);
    for (const half of halves) await store.complete(half, { result: null });
    assert.equal((await claim(store)).name, "later");
    assert.deepEqual(await Array.fromAsync(store.results(big, "big")), []);
  });

  test("a job without parts that nobody has ended is a defect", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a")]);
    await store.complete(await claim(store), { result: null });
    const failed = await tested.job(job.jobId, "backup");
    assert.deepEqual([failed?.status, failed?.error?.code], ["failed", "internal"]);
  });

  test("no more workers than allowed hold parts, however many parts each of them holds", async (tested) => {
    const { store } = tested;
    const parts = Array.from({ length: 6 }, () => part(0, "a"));
    await begin(tested, parts, { bounds: { ...BOUNDS, maxWorkers: 2 } });
    const one = await claim(store, "one");
    await claim(store, "two");
    assert.equal(await store.claim({ worker: "three", ...LEASE }), null);
    await claim(store, "one");
    await store.release(one);
    assert.equal(await store.claim({ worker: "three", ...LEASE }), null);
    assert.equal((await store.waiting()).workers, 2);
    tested.advance(1_001_000);
    assert.equal((await store.waiting()).workers, 0);
    await claim(store, "three");
    assert.equal((await store.waiting()).workers, 1);
  });

  test("parts of a job that goes before others are taken first, whichever began first", async (tested) => {
    const { store } = tested;
    await begin(tested, [part(0, "usual"), part(0, "usual")]);
    const first = { ...BOUNDS, priority: 1 };
    await begin(tested, [part(0, "first"), part(0, "first")], { kind: "verify", bounds: first });
    const names: string[] = [];
    for (let at = 0; at < 4; at++) names.push((await claim(store)).name);
    assert.deepEqual(names, ["first", "first", "usual", "usual"]);
  });

  test("two jobs of the same type exclude each other, and verification nothing but itself", async (tested) => {
    const { store } = tested;
    const first = await begin(tested, [part(0, "a")]);
    await assert.rejects(begin(tested, [part(0, "a")]), isConflict(first.jobId));
    await assert.rejects(
      begin(tested, [part(0, "a")], { kind: "restore" }),
      isConflict(first.jobId),
    );
    const verify = await begin(tested, [part(0, "v")], { kind: "verify" });
    await assert.rejects(
      begin(tested, [part(0, "v")], { kind: "verify" }),
      isConflict(verify.jobId),
    );
    await store.cancel(first.jobId);
    await begin(tested, [part(0, "a")], { kind: "restore" });
    const lease = await store.claim({ worker: "w", ...LEASE, jobId: verify.jobId });
    assert.equal(lease?.name, "v");
  });

  test("progress tells parts and bytes done, of how many, and how fast", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "copy-rows", 1e6), part(0, "copy-rows", 3e6)]);
    const [a, b] = [await claim(store), await claim(store)];
    tested.advance(900_000);
    await store.renew(a, { ...LEASE, bytesDone: 500_000, phase: "copying rows" });
    await store.renew(b, { ...LEASE, bytesDone: 300_000 });
    tested.advance(100_000);
    const running = await store.progress(job.jobId);
    assert.deepEqual(
      [running?.phase, running?.partsDone, running?.partsTotal, running?.bytesDone],
      ["copying rows", 0, 2, 800_000],
    );
    assert.equal(running?.bytesTotal, 4e6);
    assert.ok(running?.bytesPerSecond! > 500 && running?.bytesPerSecond! <= 800);
    assert.ok(running?.secondsLeft! >= 4000 && running?.secondsLeft! <= 6000);
    await store.complete(a, { result: null, bytes: 1.2e6, add: [part(1, "finish")] });
    const later = await store.progress(job.jobId);
    assert.deepEqual(
      [later?.partsDone, later?.partsTotal, later?.bytesDone, later?.bytesTotal],
      [1, 3, 1.5e6, 4.2e6],
    );
    await store.fail(b, {
      kind: "retry",
      error: new BackupError("lock_timeout", "Cannot lock it: held"),
      afterMs: 0,
    });
    assert.equal((await store.progress(job.jobId))?.bytesDone, 1.2e6);
  });

  test("an end part is tried again, and given up after some tries", async (tested) => {
    const { store } = tested;
    const job = await begin(tested, [part(0, "a")]);
    await store.cancel(job.jobId);
    const error = new BackupError("database_unreachable", "Cannot connect: no answer");
    for (let attempt = 1; attempt <= 5; attempt++) {
      const lease = await claim(store);
      assert.deepEqual([lease.name, lease.attempt], ["end", attempt]);
      await store.fail(lease, { kind: "retry", error, afterMs: 100_000 });
      tested.advance(101_000);
    }
    assert.equal(await store.claim({ worker: "w", ...LEASE }), null);
    assert.equal((await tested.job(job.jobId, "backup"))?.status, "cancelled");
  });
}
