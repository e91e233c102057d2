import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { backUpItems, contentOf, MemoryItems } from "../../../../../tests/support/memory_items.ts";
import { BackupError } from "../../core/errors.ts";
import { systemClock } from "../../core/clock.ts";
import { newJobId } from "../../core/ids.ts";
import { compareKeys } from "../../core/items.ts";
import { createRepository } from "../../repository/mod.ts";
import { memoryStorage } from "../../storage/memory.ts";
import { backupItems } from "./backup_items.ts";
import type { SaveItemsResult } from "./save_items.ts";

const newRepository = () => createRepository({ storage: memoryStorage(), key: null });

function sample(): MemoryItems {
  const source = new MemoryItems();
  for (const key of ["a/1", "a/2", "a b/1", "a/é", "b/\u{1f600}", "b/\uffee", "c/empty", "z"]) {
    source.set(key, key.repeat(key === "c/empty" ? 0 : 700));
  }
  return source;
}

Deno.test("backupItems() saves every item once, with content, checksum and facts", async () => {
  const [source, repository] = [sample(), await newRepository()];
  const { items, manifest } = await backUpItems(source, repository, { limits: { pageItems: 2 } });
  assert.deepEqual(items.map(({ key }) => key), [...source.items.keys()].sort(compareKeys));
  for (const item of items) {
    const content = source.items.get(item.key)!;
    assert.deepEqual(await contentOf(repository, item), content, item.key);
    assert.equal(item.contents[0]!.sha256, createHash("sha256").update(content).digest("hex"));
  }
  assert.equal(manifest.totals.items, 8);
  assert.equal(manifest.totals.rawBytes, items.reduce((sum, item) => sum + item.sizeBytes, 0));
  assert.deepEqual((await repository.verify({ level: "full" })).problems, []);
});

Deno.test("backupItems() reads only what has changed, and names what was deleted", async () => {
  const [source, repository] = [sample(), await newRepository()];
  const first = await backUpItems(source, repository);
  source.reads.length = 0;
  const second = await backUpItems(source, repository);
  assert.deepEqual(source.reads, []);
  assert.deepEqual(second.items, first.items);
  assert.equal(second.manifest.parent, first.backupId);
  assert.equal(second.manifest.totals.newChunks, 0);
  assert.equal(second.manifest.totals.unchanged, 8);

  source.set("a/2", "changed");
  source.set("a/15", "new");
  for (const key of ["a b/1", "a/é", "z"]) source.items.delete(key);
  const third = await backUpItems(source, repository, { limits: { pageItems: 1, partItems: 1 } });
  assert.deepEqual(source.reads.toSorted(), ["a/15", "a/2"]);
  const deleted = await Array.fromAsync(repository.readLines<string>(third.manifest.deleted));
  assert.deepEqual(deleted, ["a/é", "a b/1", "z"].sort(compareKeys));
  const { unchanged, items } = third.manifest.totals;
  assert.deepEqual({ unchanged, items }, { unchanged: 4, items: 6 });
  for (const item of third.items) {
    assert.deepEqual(await contentOf(repository, item), source.items.get(item.key), item.key);
  }
});

Deno.test("backupItems() keeps deletions also when nothing is left", async () => {
  const [source, repository] = [sample(), await newRepository()];
  await backUpItems(source, repository);
  source.items.clear();
  const { manifest } = await backUpItems(source, repository);
  assert.deepEqual(manifest.pages, []);
  assert.equal(manifest.totals.deleted, 8);
});

Deno.test("backupItems() tells what cannot be read of that item alone, and reads it the next time", async () => {
  const [source, repository] = [sample(), await newRepository()];
  const refusal = new BackupError("storage_refused", "Cannot read the object: 403", {
    hint: "Ask.",
  });
  source.onRead = (key) => {
    if (key === "a/2") throw refusal;
    if (key === "b/\uffee") source.items.delete(key);
    if (key === "z") throw new TypeError("a defect that quotes a value");
  };
  const { record, items, manifest } = await backUpItems(source, repository);
  const failures = items.flatMap(({ key, failure }) => failure ? [{ key, ...failure }] : []);
  assert.deepEqual(failures, [
    { key: "a/2", code: "storage_refused", message: refusal.message, hint: "Ask." },
    {
      key: "z",
      code: "internal",
      message: "Cannot save the item: an unexpected error of this software",
    },
  ]);
  assert.deepEqual(
    { partial: record.partial, failed: manifest.totals.failed, gone: manifest.totals.vanished },
    { partial: true, failed: 2, gone: 1 },
  );
  source.reads.length = 0;
  source.onRead = () => {};
  const second = await backUpItems(source, repository);
  assert.deepEqual(source.reads.toSorted(), ["a/2", "z"]);
  assert.equal(second.record.partial, false);
});

Deno.test("backupItems() tries passing troubles again before it tells of them", async () => {
  const [source, repository] = [sample(), await newRepository()];
  const tries = new Map<string, number>();
  source.onRead = (key) => {
    const tried = (tries.get(key) ?? 0) + 1;
    tries.set(key, tried);
    const bad = key === "a/2" || (key === "b/\uffee" && tried === 1);
    if (bad) throw new BackupError("storage_unreachable", "Cannot read: cut");
  };
  const { items } = await backUpItems(source, repository);
  const failed = items.filter(({ failure }) => failure !== undefined).map(({ key }) => key);
  assert.deepEqual(failed, ["a/2"]);
  assert.equal(tries.get("a/2"), 3);
});

Deno.test("backupItems() fails when nothing can be read, and when the key is refused", async () => {
  const repository = await newRepository();
  for (const code of ["storage_refused", "storage_unreachable", "unauthorized"] as const) {
    const source = sample();
    source.onRead = () => {
      throw new BackupError(code, "Cannot read");
    };
    const failing = backUpItems(source, repository);
    await assert.rejects(failing, (error: BackupError) => error.code === code, code);
  }
  assert.deepEqual((await repository.listBackups()).backups, []);
});

Deno.test("backupItems() does not fail for ever because the only changed items are broken", async () => {
  const [source, repository] = [sample(), await newRepository()];
  const { backupId: parent } = await backUpItems(source, repository);
  for (const key of ["a/1", "a/2"]) source.set(key, "changed");
  source.onRead = () => {
    throw new BackupError("storage_unreachable", "Cannot read: 500");
  };
  const backupId = newJobId("backup", new Date(), "files");
  const definition = backupItems({
    ...{ backupId, reason: null, origin: "manual", database: "postgres", source, repository },
    ...{ clock: systemClock, writtenBy: "test" },
  });
  const { items } = await source.page(null);
  const run = { items, from: null, upTo: items.at(-1)!.key, digest: null };
  const save = (attempt: number) =>
    definition.run({
      ...{ jobId: backupId, part: 2, round: 1, attempt, previous: null, token: "1", until: "" },
      ...{ step: 2, name: "saving-items", bytes: 0 },
      payload: JSON.parse(JSON.stringify({ runs: [run] })),
    }, {
      signal: new AbortController().signal,
      onProgress: () => {},
      results: async function* (name) {
        yield { part: 1, step: 0, name, payload: null, result: { parent } };
      },
    });
  for (const attempt of [1, 3, 6]) {
    await assert.rejects(
      save(attempt),
      (error: BackupError) => error.code === "storage_unreachable",
    );
  }
  const { result } = await save(7);
  const { items: saved, failed, unchanged } = result as unknown as SaveItemsResult;
  assert.deepEqual({ saved, failed, unchanged }, { saved: 3, failed: 2, unchanged: 1 });
});

Deno.test("backupItems() takes the record of a worker that was believed lost for its own", async () => {
  const repository = await newRepository();
  const commit = repository.commitBackup.bind(repository);
  const completedAt = "2026-01-01T00:00:00.000Z";
  repository.commitBackup = async (manifest, facts, options) => {
    await commit(manifest, { ...facts, completedAt }, options);
    return await commit(manifest, facts, options);
  };
  const { record } = await backUpItems(sample(), repository);
  assert.equal(record.completedAt, completedAt);
});

Deno.test("backupItems() saves a large item in ranges, and not when it changes meanwhile", async () => {
  const [source, repository] = [sample(), await newRepository()];
  const large = new Uint8Array(100_001).map((_, at) => at % 251);
  source.set("big/one", large);
  const limits = { rangeBytes: 30_000, partBytes: 10_000 };
  const { items } = await backUpItems(source, repository, { limits });
  const item = items.find(({ key }) => key === "big/one")!;
  assert.deepEqual(await contentOf(repository, item), large);
  assert.equal(source.reads.filter((key) => key.startsWith("big/")).length, 4);
  source.reads.length = 0;
  await backUpItems(source, repository, { limits });
  assert.deepEqual(source.reads, []);

  source.set("big/one", large.map((byte) => byte + 1));
  source.onRead = (key) => {
    if (source.reads.at(-1) === "big/one 60000") source.set(key, large.toReversed());
  };
  const third = await backUpItems(source, repository, { limits });
  assert.equal(third.items.find(({ key }) => key === "big/one")?.failure?.code, "conflict");
  source.onRead = () => source.items.delete("big/one");
  const fourth = await backUpItems(source, repository, { limits });
  assert.equal(fourth.manifest.totals.vanished, 1);
});

Deno.test("backupItems() tells of a large item that it cannot read, and saves the rest", async () => {
  const [source, repository] = [sample(), await newRepository()];
  source.set("big/one", new Uint8Array(100_000));
  const limits = { rangeBytes: 30_000, partBytes: 10_000 };
  for (const code of ["files_changed", "storage_unreachable"] as const) {
    source.onRead = (key) => {
      if (key !== "big/one" || source.reads.at(-1) !== "big/one 60000") return;
      throw new BackupError(code, "Cannot read");
    };
    const { items, record } = await backUpItems(source, repository, { limits });
    const failures = items.flatMap(({ key, failure }) => failure ? [[key, failure.code]] : []);
    assert.deepEqual(failures, [["big/one", code]]);
    assert.equal(record.partial, true);
  }
  source.onRead = (key) => {
    if (key === "big/one") throw new BackupError("files_unauthorized", "Cannot read");
  };
  const failing = backUpItems(source, repository, { limits });
  await assert.rejects(failing, (error: BackupError) => error.code === "files_unauthorized");
});

Deno.test("backupItems() refuses a source that breaks the order of its list", async () => {
  const [source, repository] = [sample(), await newRepository()];
  const page = source.page.bind(source);
  source.page = async (after) => {
    const found = await page(after);
    return { ...found, items: found.items.toReversed() };
  };
  const failing = backUpItems(source, repository);
  await assert.rejects(failing, (error: BackupError) => error.code === "internal");
});

Deno.test("backupItems() saves all again when the backup before is damaged", async () => {
  for (const what of ["manifests/", "lines"]) {
    const storage = memoryStorage();
    const [source, repository] = [sample(), await createRepository({ storage, key: null })];
    const { manifest } = await backUpItems(source, repository);
    const lines = manifest.pages[0]!.items.chunks[0]!.name;
    for (const name of [...storage.objects.keys()]) {
      if (name.startsWith(what) || (what === "lines" && name.endsWith(lines))) {
        await storage.delete(name);
      }
    }
    source.reads.length = 0;
    const second = await backUpItems(source, repository);
    assert.deepEqual(
      second.items.map(({ key }) => key),
      [...source.items.keys()].sort(compareKeys),
    );
    assert.equal(source.reads.length, what === "lines" ? manifest.pages[0]!.items.lines : 8);
    const { problems } = await repository.verify({ backups: [second.backupId], level: "full" });
    assert.deepEqual(problems, []);
  }
});

Deno.test("readBackup() finds the latest of a type and no other type's", async () => {
  const [source, repository] = [sample(), await newRepository()];
  const { backupId } = await backUpItems(source, repository);
  assert.match(backupId, /^backup_\d{8}T\d{9}Z_files_/);
  assert.equal(
    (await repository.readBackup("latest", { type: "files" })).record.backupId,
    backupId,
  );
  for (const type of ["database", "config"] as const) {
    for (const id of ["latest", backupId]) {
      const reading = repository.readBackup(id, { type });
      await assert.rejects(reading, (error: BackupError) => error.code === "backup_not_found");
    }
  }
});

Deno.test("verify() finds damage in a backup of items", async () => {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: null });
  const source = sample();
  const { items, backupId } = await backUpItems(source, repository);
  const { chunk } = items[0]!.contents[0]!.pieces[0]!;
  await storage.delete(`chunks/${chunk.slice(0, 2)}/${chunk}`);
  const { problems } = await repository.verify({ level: "quick" });
  assert.deepEqual(problems.map(({ code, backups }) => ({ code, backups })), [
    { code: "object_missing", backups: [backupId] },
  ]);
});
