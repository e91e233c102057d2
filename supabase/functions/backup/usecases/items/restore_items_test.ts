import assert from "node:assert/strict";
import { backUpItems, MemoryItems } from "../../../../../tests/support/memory_items.ts";
import { systemClock } from "../../core/clock.ts";
import { BackupError } from "../../core/errors.ts";
import { newJobId } from "../../core/ids.ts";
import type { ItemResult, ItemStep, ItemTarget, ItemWork, SavedItem } from "../../core/items.ts";
import { runInProcess } from "../../jobs/run_in_process.ts";
import { createRepository, type Repository } from "../../repository/mod.ts";
import { memoryStorage } from "../../storage/memory.ts";
import { restoreItems, type RestoreItemsOptions } from "./restore_items.ts";

/** A place in memory that takes so many bytes of a content at a time. */
class MemoryTarget implements ItemTarget {
  readonly held = new Map<string, Uint8Array>();
  readonly applied: string[] = [];
  hazards = new Map<string, string[]>();
  onApply: (key: string) => void = () => {};

  plan(items: readonly SavedItem[]): Promise<ItemStep[]> {
    return Promise.resolve(items.map(({ key }) => ({
      key,
      action: this.held.has(key) ? "replace" : "create",
      title: `put ${key}`,
      hazards: this.hazards.get(key) ?? [],
    })));
  }

  async apply({ key }: ItemStep, work: ItemWork): Promise<ItemResult> {
    this.applied.push(key);
    this.onApply(key);
    const from = Number(work.resume ?? 0);
    const [content] = work.item.contents;
    const found = this.held.get(key) ?? new Uint8Array();
    let bytes = found.subarray(0, from);
    for await (const chunk of work.open(content!, { from })) {
      bytes = new Uint8Array([...bytes, ...chunk]);
      if (bytes.length - from < work.maxBytes) continue;
      const kept = bytes.subarray(0, from + work.maxBytes);
      this.held.set(key, kept);
      if (kept.length < content!.bytes) return { key, outcome: "paused", resume: kept.length };
    }
    this.held.set(key, bytes);
    return { key, outcome: "done" };
  }
}

async function saved(change: (source: MemoryItems) => void = () => {}) {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const source = new MemoryItems();
  for (const key of ["a", "a/1", "a/deep/2", "a b", "a b/1", "b", "b/1"]) {
    source.set(key, key.repeat(key.includes("/") ? 900 : 1));
  }
  change(source);
  const { backupId } = await backUpItems(source, repository, { limits: { partItems: 2 } });
  return { repository, source, backupId };
}

async function restore(
  { repository, backupId }: { repository: Repository; backupId: string },
  target: ItemTarget,
  options: Partial<RestoreItemsOptions> = {},
) {
  const definition = restoreItems({
    ...{ backupId, type: "files", target, repository, only: [], acceptHazards: [] },
    ...{ dryRun: false, safetyBackup: null, ...options },
  });
  const jobId = newJobId("restore", new Date(), "files");
  return await runInProcess(definition, {
    job: { jobId, kind: "restore", type: "files", backupId, reason: null, createdBy: "test" },
    clock: systemClock,
    concurrency: 3,
    maxAttempts: 4,
  });
}

Deno.test("restoreItems() gives every item its content back, what holds others first", async () => {
  const from = await saved();
  const target = new MemoryTarget();
  const { result } = await restore(from, target);
  assert.deepEqual(new Map([...target.held].sort()), new Map([...from.source.items].sort()));
  const containers = target.applied.findLastIndex((key) => !key.includes("/"));
  const items = target.applied.findIndex((key) => key.includes("/"));
  assert.ok(containers < items, target.applied.join());
  assert.deepEqual(result?.outcomes, { done: 7 });
});

Deno.test("restoreItems() takes chosen items, prefixes and what holds them", async () => {
  const from = await saved();
  for (
    const [only, expected] of [
      [["a/deep/"], ["a", "a/deep/2"]],
      [["a b/1"], ["a b", "a b/1"]],
      [["b"], ["b"]],
      [["b/", "a/1"], ["a", "a/1", "b", "b/1"]],
    ]
  ) {
    const target = new MemoryTarget();
    await restore(from, target, { only: only! });
    assert.deepEqual([...target.held.keys()].sort(), expected);
  }
});

Deno.test("restoreItems() refuses a choice that names nothing before anything is changed", async () => {
  const from = await saved();
  const target = new MemoryTarget();
  for (const only of [["nothing/"], ["a/1", "a/2"], ["a/dee/"], ["b/1/"], ["c"]]) {
    for (const dryRun of [false, true]) {
      await assert.rejects(restore(from, target, { only, dryRun }), (error: BackupError) => {
        assert.equal(error.code, "invalid_request");
        assert.ok(error.message.endsWith(`no items named ${only.at(-1)}`), error.message);
        return true;
      });
    }
  }
  assert.deepEqual(target.applied, []);
});

Deno.test("restoreItems() plans and changes nothing when asked to", async () => {
  const from = await saved();
  const target = new MemoryTarget();
  target.held.set("a/1", new Uint8Array(3));
  target.hazards.set("b", ["It is in use."]);
  const { result } = await restore(from, target, { dryRun: true });
  assert.deepEqual(target.applied, []);
  assert.deepEqual(result?.planned, { create: 6, replace: 1 });
  assert.equal((result?.steps as ItemStep[]).length, 7);
  assert.deepEqual((result?.hazards as ItemStep[]).map(({ key }) => key), ["b"]);
});

Deno.test("restoreItems() refuses hazards before anything is changed or saved", async () => {
  const from = await saved();
  const target = new MemoryTarget();
  target.hazards.set("b/1", ["It is in use."]);
  let saves = 0;
  const safetyBackup = () => Promise.resolve({ backupId: `safety_${++saves}`, unsaved: [] });
  const refused = restore(from, target, { safetyBackup });
  await assert.rejects(refused, (error: BackupError) => error.code === "restore_refused");
  const ahead = restore(from, target, { safetyBackup, dryRun: "refuse" });
  await assert.rejects(ahead, (error: BackupError) => error.code === "restore_refused");
  await restore(from, target, { safetyBackup, dryRun: "refuse", acceptHazards: ["b/1"] });
  assert.deepEqual({ applied: target.applied, saves }, { applied: [], saves: 0 });
  const { result } = await restore(from, target, { safetyBackup, acceptHazards: ["b/1"] });
  assert.equal(result?.safetyBackupId, "safety_1");
});

Deno.test("restoreItems() replaces nothing that the safety backup could not save", async () => {
  const from = await saved();
  const target = new MemoryTarget();
  const safetyBackup = () => Promise.resolve({ backupId: "safety_1", unsaved: ["a/1"] });
  await restore(from, target, {});
  const other = new TextEncoder().encode("another one");
  target.held.set("a/1", other).set("b/1", other);
  const incomplete = restore(from, target, { safetyBackup });
  await assert.rejects(incomplete, ({ code, details }: BackupError) => {
    assert.equal(code, "restore_incomplete");
    const { failures } = details as { failures: { key: string; failure: { code: string } }[] };
    assert.deepEqual(failures.map(({ key }) => key), ["a/1"]);
    return true;
  });
  assert.equal(target.held.get("a/1"), other);
  assert.notEqual(target.held.get("b/1"), other);
});

Deno.test("restoreItems() takes an accepted hazard of an item for none of what holds it", async () => {
  const from = await saved();
  const target = new MemoryTarget();
  target.hazards.set("b", ["Everybody can read it."]).set("b/1", ["It is in use."]);
  const refused = restore(from, target, { acceptHazards: ["b/1"] });
  await assert.rejects(refused, ({ details }: BackupError) => {
    assert.deepEqual(details?.hazards, [{ key: "b", hazards: ["Everybody can read it."] }]);
    return true;
  });
  assert.deepEqual(target.applied, []);
  const { result } = await restore(from, target, { acceptHazards: ["b/"] });
  assert.deepEqual(result?.outcomes, { done: 7 });
});

Deno.test("restoreItems() tells of items that fail, restores the others, and does not call it done", async () => {
  const from = await saved();
  const target = new MemoryTarget();
  let cuts = 0;
  target.onApply = (key) => {
    if (key === "a/1") throw new BackupError("storage_refused", "Cannot put it: 403");
    if (key === "b/1" && ++cuts < 3) throw new BackupError("storage_unreachable", "Cut");
  };
  await assert.rejects(restore(from, target), (error: BackupError) => {
    assert.equal(error.code, "restore_incomplete");
    assert.match(error.message, /1 of 7 items: a\/1: Cannot put it: 403/);
    assert.deepEqual(error.details?.outcomes, { done: 6, failed: 1 });
    return true;
  });
  assert.deepEqual(target.held.get("b/1"), from.source.items.get("b/1"));
});

Deno.test("restoreItems() names items that the backup could not save", async () => {
  const from = await saved((source) => {
    source.onRead = (key) => {
      if (key === "b/1") throw new BackupError("storage_refused", "Cannot read it: 403");
    };
  });
  const { result } = await restore(from, new MemoryTarget());
  assert.deepEqual(result?.byHand, [
    { key: "b/1", title: "b/1 is not in this backup: Cannot read it: 403" },
  ]);
});

Deno.test("restoreItems() goes on with a large item where another worker left it", async () => {
  const large = new Uint8Array(100_000).map((_, at) => at % 251);
  const from = await saved((source) => source.set("a/large", large));
  const target = new MemoryTarget();
  const { result } = await restore(from, target, { only: ["a/large"], pauseBytes: 40_000 });
  assert.deepEqual(result?.outcomes, { done: 2 });
  assert.equal(target.applied.filter((key) => key === "a/large").length, 3);
  assert.deepEqual(target.held.get("a/large"), large);
});
