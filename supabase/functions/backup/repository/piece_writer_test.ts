import assert from "node:assert/strict";
import { concat } from "../core/bytes.ts";
import { memoryStorage } from "../storage/memory.ts";
import { createRepository, openRepository } from "./mod.ts";

Deno.test("pieceWriter() takes rows while a chunk is stored, and waits when the next one is full too", async () => {
  const storage = memoryStorage();
  await createRepository({ storage, key: null });
  const stored = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const repository = await openRepository({
    key: null,
    storage: {
      ...storage,
      async put(name, body, signal) {
        arrived.resolve();
        await stored.promise;
        return await storage.put(name, body, signal);
      },
    },
  });
  const writer = repository.pieceWriter({ targetBytes: 100 });
  await writer.append(crypto.getRandomValues(new Uint8Array(100)));
  await arrived.promise;
  await writer.append(crypto.getRandomValues(new Uint8Array(99)));
  let isTaken = false;
  const last = writer.append(new Uint8Array(1)).then(() => isTaken = true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(isTaken, false, "a third chunk would be held in memory");
  stored.resolve();
  await last;
  const pieces = await writer.endPart();
  await writer.finish();
  assert.deepEqual(pieces.map(({ length }) => length), [100, 100]);
});

Deno.test("pieceWriter() keeps what came before its buffer grew, in memory that was used before too", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const stepBytes = 10_000;
  for (const [seed, length] of [[1, 60_000], [3, 150_000], [5, 900_000], [7, 150_000]] as const) {
    const content = Uint8Array.from({ length }, (_, at) => at * seed + (at >> 8));
    const writer = repository.pieceWriter();
    for (let at = 0; at < length; at += stepBytes) {
      await writer.append(content.subarray(at, at + stepBytes));
    }
    const pieces = writer.endPart();
    await writer.finish();
    const found = await Array.fromAsync(
      repository.readPieces(await pieces),
      (slice) => slice.slice(),
    );
    assert.deepEqual(concat(found), content);
  }
});
