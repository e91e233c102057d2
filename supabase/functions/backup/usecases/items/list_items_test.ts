import assert from "node:assert/strict";
import { backUpItems, contentOf, MemoryItems } from "../../../../../tests/support/memory_items.ts";
import { compareKeys } from "../../core/items.ts";
import { createRepository, openRepository } from "../../repository/mod.ts";
import { memoryStorage } from "../../storage/memory.ts";

const limits = { pageItems: 4, partItems: 8 };

/** Numbers that are the same in each run. */
function drawer(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

function filled(listing: MemoryItems["listing"], count: number): MemoryItems {
  const source = new MemoryItems();
  source.listing = listing;
  for (let at = 0; at < count; at++) source.set(keyOf(at), `first ${at}`);
  return source;
}

/** Several containers, and names around the order of UTF-8. */
function keyOf(at: number): string {
  const name = ["a", "b/", "\u{1f600}", "\uffee", "é", ""][at % 6];
  return `${["a", "a b", "b"][at % 3]}/${name}${String(at).padStart(4, "0")}`;
}

for (const listing of ["ranges", "digests"] as const) {
  Deno.test(`backupItems() over a listing with ${listing} saves what is there, whatever was changed, for 12 rounds`, async () => {
    const storage = memoryStorage();
    const repository = await createRepository({ storage, key: null });
    const source = filled(listing, 60);
    source.pageItems = 7;
    const draw = drawer(listing.length);
    let before = new Map<string, Uint8Array>();
    for (let round = 0; round < 12; round++) {
      source.reads.length = 0;
      const { items, manifest } = await backUpItems(source, repository, { limits });
      const keys = [...source.items.keys()].sort(compareKeys);
      assert.deepEqual(items.map(({ key }) => key), keys);
      for (const item of items) {
        assert.deepEqual(await contentOf(repository, item), source.items.get(item.key), item.key);
      }
      const changed = keys.filter((key) => source.items.get(key) !== before.get(key));
      assert.deepEqual(source.reads.toSorted(), changed.toSorted());
      const gone = [...before.keys()].filter((key) => !source.items.has(key)).sort(compareKeys);
      const deleted = await Array.fromAsync(repository.readLines<string>(manifest.deleted));
      assert.deepEqual(deleted, gone);
      const { totals } = manifest;
      assert.deepEqual(
        [totals.items, totals.unchanged, totals.deleted, totals.rawBytes],
        [
          ...[keys.length, keys.length - changed.length, gone.length],
          keys.reduce((sum, key) => sum + source.items.get(key)!.length, 0),
        ],
      );
      before = new Map(source.items);
      const most = [0, 1, 3, 40][round % 4]!;
      for (let times = 0; times < most; times++) {
        const key = draw(3) === 0 ? keyOf(draw(200)) : keys[draw(keys.length)]!;
        if (draw(3) === 0) source.items.delete(key);
        else source.set(key, `round ${round} ${times}`);
      }
    }
    const { problems } = await repository.verify({ level: "full" });
    assert.deepEqual(problems, []);
  });
}

Deno.test("backupItems() refers to pages that are the same without listing, reading or writing them", async () => {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: null });
  const source = filled("digests", 100);
  source.pageItems = 10;
  const first = await backUpItems(source, repository, { limits });
  source.listed.length = 0;
  const chunks = storage.objects.size;
  const second = await backUpItems(source, repository, { limits });
  assert.deepEqual(source.listed, []);
  assert.deepEqual(second.manifest.pages, first.manifest.pages);
  assert.equal(storage.objects.size, chunks + 2, "only a manifest and a record are new");

  source.set(keyOf(1) + "x", "new");
  const third = await backUpItems(source, repository, { limits });
  const known = new Set(first.manifest.pages.map(({ first }) => first));
  const written = third.manifest.pages.filter(({ items }) =>
    !second.manifest.pages.some((page) => page.items.chunks[0]!.name === items.chunks[0]!.name)
  );
  assert.ok(written.length <= 2 && known.size >= 20, `${written.length} pages are new`);
  assert.ok(source.listed.length <= 10, `${source.listed.length} items were listed`);
});

Deno.test("backupItems() joins pages that have become small", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const source = filled("digests", 120);
  source.pageItems = 50;
  const { manifest } = await backUpItems(source, repository, { limits });
  for (const [at, key] of [...source.items.keys()].sort(compareKeys).entries()) {
    if (at % 4 !== 0) source.items.delete(key);
  }
  await backUpItems(source, repository, { limits });
  source.reads.length = 0;
  const { manifest: later, items } = await backUpItems(source, repository, { limits });
  assert.ok(later.pages.length < manifest.pages.length / 2, `${later.pages.length} pages`);
  assert.deepEqual(items.map(({ key }) => key), [...source.items.keys()].sort(compareKeys));
  assert.deepEqual(source.reads, []);
});

for (const listing of ["pages", "digests"] as const) {
  Deno.test(`backupItems() stores again what the storage has lost under items that did not change (${listing})`, async () => {
    const storage = memoryStorage();
    const repository = await createRepository({ storage, key: null });
    const source = filled(listing, 40);
    const { items, manifest } = await backUpItems(source, repository, { limits });
    const pages = new Set([items[5]!.key, items[25]!.key]);
    for (const item of items.filter(({ key }) => pages.has(key))) {
      const { chunk } = item.contents[0]!.pieces[0]!;
      await storage.delete(`chunks/${chunk.slice(0, 2)}/${chunk}`);
    }
    const lines = manifest.pages.at(-1)!.items.chunks[0]!.name;
    await storage.delete(`chunks/${lines.slice(0, 2)}/${lines}`);
    source.reads.length = 0;
    // Another instance, as in another process: one that has stored a chunk does not doubt it.
    const later = await openRepository({ storage, key: null });
    const { backupId } = await backUpItems(source, later, { limits });
    assert.ok(source.reads.length >= 3 && source.reads.length < 30, `${source.reads.length} reads`);
    const { problems } = await later.verify({ backups: [backupId], level: "full" });
    assert.deepEqual(problems, []);
  });
}

Deno.test("backupItems() looks again at pages with an item that failed, vanished or was another when it was read", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const source = filled("digests", 24);
  const keys = [...source.items.keys()].sort(compareKeys);
  const read = source.read.bind(source);
  source.read = async (item) => {
    const found = await read(item);
    return item.key === keys[9] && found !== null ? { ...found, revision: "a later one" } : found;
  };
  source.onRead = (key) => {
    if (key === keys[1]) throw new TypeError("broken");
    if (key === keys[17]) source.items.delete(key);
  };
  const { manifest } = await backUpItems(source, repository, { limits });
  const without = manifest.pages.filter(({ digest }) => digest === undefined);
  assert.equal(without.length, 3);
  source.onRead = () => {};
  source.reads.length = 0;
  await backUpItems(source, repository, { limits });
  assert.deepEqual(source.reads, [keys[1], keys[9]]);
});

Deno.test("backupItems() goes on from a backup whose pages know neither digests nor chunks", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const source = filled("digests", 24);
  const commit = repository.commitBackup.bind(repository);
  repository.commitBackup = (manifest, ...rest) => {
    if (manifest.type !== "database") {
      for (const page of manifest.pages) {
        delete page.digest;
        delete page.chunks;
        delete page.rawBytes;
      }
    }
    return commit(manifest, ...rest);
  };
  await backUpItems(source, repository, { limits });
  repository.commitBackup = commit;
  source.reads.length = 0;
  const { manifest, items } = await backUpItems(source, repository, { limits });
  assert.deepEqual(source.reads, []);
  assert.equal(items.length, 24);
  assert.ok(manifest.pages.every(({ digest }) => digest !== undefined));
});

for (const listing of ["ranges", "digests"] as const) {
  Deno.test(`backupItems() looks at deleted items in many parts, however few are left between them (${listing})`, async () => {
    const repository = await createRepository({ storage: memoryStorage(), key: null });
    const source = filled(listing, 400);
    source.pageItems = 100;
    await backUpItems(source, repository, { limits: { pageItems: 1, partItems: 8 } });
    const last = [...source.items.keys()].sort(compareKeys).at(-1)!;
    for (const key of source.items.keys()) if (key !== last) source.items.delete(key);
    const { manifest } = await backUpItems(source, repository, { limits });
    assert.equal(manifest.totals.deleted, 399);
    assert.equal(manifest.deleted.lines, 399);
    assert.ok(manifest.deleted.chunks.length >= 25, `${manifest.deleted.chunks.length} lists`);
  });
}
