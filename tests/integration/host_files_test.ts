/**
 * Backups of files in threads of a host, beside those without.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { ThreadPool } from "../../scripts/host/thread_pool.ts";
import { saverThreads, threadSaver } from "../../scripts/host/thread_saver.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { type FilesAccess, openFilesSource } from "../../supabase/functions/backup/project/mod.ts";
import {
  createRepository,
  openRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import type { ItemSaver } from "../../supabase/functions/backup/usecases/items/save_task.ts";
import { backUpItems, contentOf } from "../support/memory_items.ts";
import { StorageServer } from "../support/storage_server.ts";

/** Small parts, so that there are many; one object is saved in ranges. */
const LIMITS = { pageItems: 8, partItems: 16, rangeBytes: 60_000 };

/** Two repositories that name the same content alike, so that backups in them can be compared. */
async function withTwins(
  work: (twins: { folder: string; key: string }[]) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "host_files_" });
  const key = toBase64(crypto.getRandomValues(new Uint8Array(32)));
  try {
    await createRepository({ storage: localStorage(`${root}/one`), key: new Secret(key) });
    const copied = await new Deno.Command("cp", { args: ["-r", `${root}/one`, `${root}/other`] })
      .output();
    assert.ok(copied.success);
    await work(["one", "other"].map((name) => ({ folder: `${root}/${name}`, key })));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Saves all files. What is compared leaves out when each was read. */
async function save(
  { folder, key }: { folder: string; key: string },
  { files, databaseUrl, saver }: {
    files: FilesAccess;
    databaseUrl: string;
    saver?: ItemSaver | undefined;
  },
) {
  const repository = await openRepository({ storage: localStorage(folder), key: new Secret(key) });
  const session = databaseUrl === "" ? null : await connect({ url: databaseUrl });
  try {
    const source = await openFilesSource(files, {
      projectRef: null,
      openDatabase: () => Promise.resolve(session),
    });
    const { manifest, items } = await backUpItems(source, repository, {
      limits: LIMITS,
      ...(saver === undefined ? {} : { saver: { ...saver, leastBytes: 0 } }),
    });
    const { newChunks: _, newStoredBytes: __, ...totals } = manifest.totals;
    return { repository, items: items.map(({ savedAt: _, ...item }) => item), totals };
  } finally {
    await session?.close();
  }
}

async function assertContents(
  repository: Repository,
  items: Awaited<ReturnType<typeof save>>["items"],
  expected: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  let compared = 0;
  for (const item of items) {
    const content = expected.get(item.key);
    if (content === undefined) continue;
    const saved = await contentOf(repository, { ...item, savedAt: "" });
    assert.equal(Buffer.compare(saved, content), 0, item.key);
    compared++;
  }
  assert.equal(compared, expected.size);
}

const threads = ({ folder, key }: { folder: string; key: string }, more: {
  files: FilesAccess;
  databaseUrl: string;
}) => ({ ...more, repositoryUrl: `file://${folder}`, key });

Deno.test("threads save the files of Storage as the worker itself does, failures too, and refer to what they saved", () =>
  withTwins(async ([one, other]) => {
    await using server = await StorageServer.start("host_files");
    await server.addBucket("docs");
    const contents = new Map<string, Uint8Array>();
    for (let at = 0; at < 100; at++) {
      const name = `folder ${at % 7}/é%${at}`;
      const bytes = crypto.getRandomValues(new Uint8Array(at === 50 ? 50_000 : at * 31));
      contents.set(`docs/${name}`, bytes);
      await server.put("docs", name, { bytes });
    }
    const large = new Uint8Array(1_300_000).map((_, at) => (at * 7) % 251);
    contents.set("docs/large", large);
    await server.put("docs", "large", { bytes: large });
    await server.put("docs", "without bytes", "lost");
    for (const key of server.store.keys()) {
      if (key.startsWith("docs/without bytes/")) server.store.delete(key);
    }
    const place = { files: { url: server.url, key: server.key }, databaseUrl: server.databaseUrl };
    const alone = await save(one!, place);
    const opened = saverThreads(2)(threads(other!, place));
    try {
      const inThreads = await save(other!, { ...place, saver: opened.saver });
      assert.equal(inThreads.totals.items, 103);
      assert.equal(inThreads.totals.failed, 1);
      assert.deepEqual(inThreads.items, alone.items);
      assert.deepEqual(inThreads.totals, alone.totals);
      await assertContents(inThreads.repository, inThreads.items, contents);

      await opened.leave(); // and the same job goes on
      await server.put("docs", "large", "now another");
      const again = await save(other!, { ...place, saver: opened.saver });
      assert.deepEqual([again.totals.unchanged, again.totals.failed], [101, 1]);
    } finally {
      await opened.leave();
    }
  }));

/** A bucket of S3 with some objects, and how it is reached. */
async function withBucket(
  work: (files: FilesAccess, contents: ReadonlyMap<string, Uint8Array>) => Promise<void>,
): Promise<void> {
  const objects = Array.from({ length: 60 }, (_, at) => {
    const bytes = crypto.getRandomValues(new Uint8Array(500 + at));
    const eTag = createHash("md5").update(bytes).digest("hex");
    return { key: `photo ${String(at).padStart(2, "0")}`, bytes, eTag };
  });
  const list = objects.map(({ key, bytes, eTag }) =>
    `<Contents><Key>${key}</Key><Size>${bytes.length}</Size><ETag>${eTag}</ETag></Contents>`
  ).join("");
  const ending = new AbortController();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, signal: ending.signal },
    ({ url }) => {
      const name = decodeURIComponent(new URL(url).pathname.slice("/backups/".length));
      const object = objects.find(({ key }) => key === name);
      if (object === undefined) {
        return new Response(
          `<ListBucketResult><IsTruncated>false</IsTruncated>${list}</ListBucketResult>`,
        );
      }
      return new Response(object.bytes, { headers: { etag: `"${object.eTag}"` } });
    },
  );
  const bucket = {
    BACKUP_FILES_SOURCE_BUCKET: "backups",
    BACKUP_FILES_SOURCE_ENDPOINT: `http://127.0.0.1:${server.addr.port}`,
    BACKUP_FILES_SOURCE_ACCESS_KEY: "id",
    BACKUP_FILES_SOURCE_SECRET_KEY: "secret",
  };
  try {
    const contents = objects.map(({ key, bytes }) => [`backups/${key}`, bytes] as const);
    await work({ bucket }, new Map(contents));
  } finally {
    ending.abort(); // an orderly end would wait for connections that clients keep
    await server.finished;
  }
}

Deno.test(
  "threads that die in the middle of a backup lose nothing: the worker does what they did",
  () =>
    withBucket((files, contents) =>
      withTwins(async ([one, other]) => {
        const place = { files, databaseUrl: "" };
        const alone = await save(one!, place);
        const pool = new ThreadPool({ kind: "save", threads: 2, access: threads(other!, place) });
        const inThreads = threadSaver(() => pool);
        const seen = { asked: 0, done: 0, left: 0 };
        const saver: ItemSaver = {
          ...inThreads,
          async save(task, watch) {
            const saving = inThreads.save(task, watch);
            seen.asked++;
            // Something has been saved by then, and this is being saved.
            if (seen.done > 0) await pool.close();
            const done = await saving;
            if (done === null) seen.left++;
            else seen.done++;
            return done;
          },
        };
        const saved = await save(other!, { ...place, saver }).finally(() => pool.close());
        assert.ok(seen.done >= 1 && seen.left >= 1, JSON.stringify(seen));
        assert.deepEqual(saved.items, alone.items);
        assert.deepEqual(saved.totals, alone.totals);
        await assertContents(saved.repository, saved.items, contents);
      })
    ),
);

Deno.test("a thread that could not reach the repository saves the next files it is given once it can", () =>
  withBucket((files, contents) =>
    withTwins(async ([one]) => {
      const place = { files, databaseUrl: "" };
      const away = `${one!.folder}_late`;
      const opened = saverThreads(1)(threads({ ...one!, folder: away }, place));
      let arrived: Promise<void> | undefined;
      const failAndArrive = async (...asked: Parameters<ItemSaver["save"]>) => {
        await assert.rejects(opened.saver.save(...asked), { code: "repository_missing" });
        await Deno.symlink(one!.folder, away);
      };
      const saver: ItemSaver = {
        ...opened.saver,
        async save(task, watch) {
          await (arrived ??= failAndArrive(task, watch));
          return await opened.saver.save(task, watch);
        },
      };
      const saved = await save(one!, { ...place, saver }).finally(() => opened.leave());
      assert.ok(arrived !== undefined);
      await assertContents(saved.repository, saved.items, contents);
    })
  ));

Deno.test(
  "what threads cannot reach ends the backup with the reason, as it does without them",
  () =>
    withBucket((files) =>
      withTwins(async ([one]) => {
        const place = { files, databaseUrl: "" };
        const opened = saverThreads(1)(
          threads({ ...one!, key: toBase64(crypto.getRandomValues(new Uint8Array(32))) }, place),
        );
        const wrong = save(one!, { ...place, saver: opened.saver });
        await assert.rejects(wrong, { code: "key_wrong" }).finally(() => opened.leave());
      })
    ),
);
