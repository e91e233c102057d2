import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { watchWorkers } from "../../tests/support/watched_workers.ts";
import { concat, toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { Piece } from "../../supabase/functions/backup/core/model.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import {
  createRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import type { ThreadAccess } from "./thread_messages.ts";
import { type TaskOptions, ThreadPool } from "./thread_pool.ts";
import { readerThreads, readInThread } from "./thread_reader.ts";

const MEGABYTE = 1 << 20;

interface Place {
  folder: string;
  repository: Repository;
  access: ThreadAccess;
  pool: ThreadPool;
  /** Stores as many bytes, in chunks of eight megabytes. */
  store(bytes: number): Promise<Piece[]>;
}

/** A repository, and one thread that reads it. */
async function withThread(work: (place: Place) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "thread_reader_" });
  const key = toBase64(crypto.getRandomValues(new Uint8Array(32)));
  const repository = await createRepository({
    storage: localStorage(folder),
    key: new Secret(key),
  });
  const access = { databaseUrl: "", repositoryUrl: `file://${folder}`, key };
  const pool = new ThreadPool({ kind: "read", threads: 1, tasksAThread: Infinity, access });
  const store = async (bytes: number) => {
    const pieces: Piece[] = [];
    for (let at = 0; at < bytes; at += 8 * MEGABYTE) {
      const content = new Uint8Array(Math.min(8 * MEGABYTE, bytes - at));
      new Uint32Array(content.buffer, 0, content.length >> 2).forEach((_, index, all) =>
        all[index] = index * 7 + at
      );
      const { name: chunk } = await repository.writeChunk(content);
      pieces.push({ chunk, offset: 0, length: content.length });
    }
    return pieces;
  };
  try {
    await work({ folder, repository, access, pool, store });
  } finally {
    await pool.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Copies of slices, each of which is valid only until the next is asked for. */
async function copiesOf(slices: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const copies: Uint8Array[] = [];
  for await (const slice of slices) copies.push(slice.slice());
  return copies;
}

Deno.test("a thread hands over what the repository holds, a slice for each piece, large, small and empty ones", () =>
  withThread(async ({ repository, pool, store }) => {
    const whole = await store(30 * MEGABYTE);
    const [first, , third] = whole;
    const pieces = [
      ...whole,
      { ...first!, offset: 77, length: 1000 },
      { ...first!, offset: 5, length: 0 },
      { ...third!, offset: 3 * MEGABYTE },
    ].map((piece) => piece.offset < MEGABYTE ? piece : { ...piece, length: 5 * MEGABYTE });
    const expected = await copiesOf(repository.readPieces(pieces));
    const [one, other] = await Promise.all([
      copiesOf(readInThread(pool, pieces, undefined)),
      copiesOf(readInThread(pool, pieces, undefined)),
    ]);
    for (const slices of [one, other]) {
      assert.deepEqual(slices.map(({ length }) => length), expected.map(({ length }) => length));
      assert.ok(Buffer.compare(concat(slices), concat(expected)) === 0);
    }
  }));

Deno.test("a thread sends no slice before the one before is used up, and stops when nobody reads on", () =>
  withThread(async ({ pool, store }) => {
    const pieces = await store(32 * MEGABYTE);
    let sent = 0;
    let ended = Promise.resolve<unknown>(null);
    const counting = {
      run(task: Parameters<ThreadPool["run"]>[0], options: TaskOptions = {}) {
        const onSlice: TaskOptions["onSlice"] = (slice) => {
          sent++;
          options.onSlice?.(slice);
        };
        const done = pool.run(task, { ...options, onSlice });
        ended = done.catch((error) => error);
        return done;
      },
    };
    let read = 0;
    for await (const _slice of readInThread(counting, pieces, undefined)) {
      // Long enough for all of it, if nothing held it back.
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(sent, ++read);
      if (read === 2) break;
    }
    assert.ok(await ended instanceof Error, "the thread was not told");
    assert.equal(sent, 2);
    assert.equal((await copiesOf(readInThread(pool, pieces, undefined))).length, 4);
  }));

Deno.test("a thread that could not open its repository opens it for the next who reads", () =>
  withThread(async ({ folder, pool, store }) => {
    const pieces = await store(9 * MEGABYTE);
    await Deno.rename(folder, `${folder}_away`);
    const early = copiesOf(readInThread(pool, pieces, undefined));
    await assert.rejects(early, { code: "repository_missing" })
      .finally(() => Deno.rename(`${folder}_away`, folder));
    assert.equal((await copiesOf(readInThread(pool, pieces, undefined))).length, 2);
  }));

Deno.test("threads read large parts once there was enough of them, and of small ones that share a chunk only the first", () =>
  withThread(async ({ access, store }) => {
    const [piece] = await store(8 * MEGABYTE);
    const { reader, leave } = readerThreads(1)(access);
    const read = async (offset: number, length: number) =>
      (await copiesOf(reader.read([{ ...piece!, offset, length }], { signal: undefined }))).length;
    try {
      for (let at = 0; at < 16; at++) assert.equal(await read(1, 4 * MEGABYTE - 1), 0);
      for (let at = 0; at < 3; at++) assert.equal(await read(0, 8 * MEGABYTE), 0);
      assert.equal(await read(0, 8 * MEGABYTE), 1);
      assert.equal(await read(1, 4 * MEGABYTE), 1);
      assert.equal(await read(1, 4 * MEGABYTE - 1), 0);
      assert.equal(await read(0, MEGABYTE), 1);
      assert.equal(await read(0, MEGABYTE - 1), 0);
    } finally {
      await leave();
    }
  }));

Deno.test("threads end when none was reading for a while, not under one that reads slowly, and start for the next", () =>
  withThread(async ({ access, store }) => {
    using workers = watchWorkers();
    const pieces = await store(40 * MEGABYTE);
    const { reader, leave } = readerThreads(1, { idleMs: 200 })(access);
    const read = () => reader.read(pieces, { signal: undefined });
    const aWhile = () => new Promise((resolve) => setTimeout(resolve, 1000));
    try {
      assert.equal((await copiesOf(read())).length, 5);
      let slices = 0;
      for await (const _slice of read()) {
        if (slices++ === 0) await aWhile();
      }
      assert.deepEqual([slices, workers.started.length, workers.alive.size], [5, 1, 1]);
      for (let at = 0; at < 10 && workers.alive.size > 0; at++) await aWhile();
      assert.equal(workers.alive.size, 0);
      assert.equal((await copiesOf(read())).length, 5);
      assert.equal(workers.alive.size, 1);
    } finally {
      await leave();
    }
    assert.deepEqual([workers.started.length, workers.alive.size], [2, 0]);
  }));

Deno.test("what the storage lacks is told as the repository tells it, and a stop with its own reason", () =>
  withThread(async ({ folder, pool, store }) => {
    const pieces = await store(24 * MEGABYTE);
    const stop = new AbortController();
    const reading = readInThread(pool, pieces, stop.signal)[Symbol.asyncIterator]();
    assert.equal((await reading.next()).value.length, 8 * MEGABYTE);
    stop.abort(new BackupError("cancelled", "enough"));
    await assert.rejects(reading.next(), { code: "cancelled" });

    await Deno.remove(`${folder}/chunks`, { recursive: true });
    await assert.rejects(copiesOf(readInThread(pool, pieces, undefined)), {
      code: "object_missing",
    });
  }));
