/**
 * Many small files of Storage under enforced hosted limits: saved, saved again after one in a thousand has
 * changed, lost, and restored.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { StorageServer } from "../../tests/support/storage_server.ts";
import { startHostedService } from "./hosted_service.ts";
import { job, type KeepingReport, reportOf, type Trial } from "./keeping.ts";

/** What to try. */
export interface FilesOptions {
  sourceUrl: string;
  targetUrl: string;
  files: number;
  tickMs?: number;
  onStep?: (step: string) => void;
}

const BUCKET = "soak";
const FILE_BYTES = 10_000;
/** One in so many changes. */
const CHANGED_ONE_IN = 1000;
/** Rows in one statement. */
const ROWS = 5000;

/** Runs the trial. */
export async function tryFiles(options: FilesOptions): Promise<KeepingReport> {
  const { sourceUrl, targetUrl, files, tickMs, onStep = () => {} } = options;
  const tables = new URL("../../tests/support/storage_tables.sql", import.meta.url);
  const source = await connect({ url: sourceUrl });
  await source.execute(await Deno.readTextFile(tables)).finally(() => source.close());
  await using storage = await StorageServer.over(sourceUrl);
  const generations = new Map<string, number>();
  storage.synthesize = (name) => contentOf(name, generations.get(name) ?? 0);
  await storage.addBucket(BUCKET);
  onStep(`making ${files} files`);
  const names = Array.from({ length: files }, (_, at) => nameOf(at));
  await writeRows(storage, names, generations);
  const problems: string[] = [];
  await using service = await startHostedService({
    ...{ sourceUrl, targetUrl },
    ...(tickMs === undefined ? {} : { tickMs }),
    variables: {
      BACKUP_ENABLE_DATABASE_BACKUP: "false",
      BACKUP_ENABLE_FUNCTION_BACKUP: "false",
      BACKUP_ENABLE_SECRETS_BACKUP: "false",
      BACKUP_ENABLE_FILES_BACKUP: "true",
    },
    beside: {
      path: "/storage/v1/",
      url: storage.url,
      headers: { authorization: `Bearer ${storage.key}` },
    },
  });
  const trial: Trial = {
    service,
    steps: [],
    onStep,
    problems,
    calls: () => storage.requests.length,
  };
  const expectTotals = (result: Record<string, unknown> | null, expected: object) => {
    const totals = (result?.totals ?? {}) as Record<string, unknown>;
    for (const [name, value] of Object.entries(expected)) {
      if (totals[name] !== value) problems.push(`${name} is ${totals[name]}, not ${value}`);
    }
  };
  // The bucket is an item too.
  expectTotals(await job(trial, "backup-files", {}), { items: files + 1, failed: 0, vanished: 0 });
  const changed = names.filter((_, at) => at % CHANGED_ONE_IN === 0);
  for (const name of changed) generations.set(name, 1);
  await writeRows(storage, changed, generations);
  const second = await job(trial, "backup-files", { reason: "one in a thousand has changed" });
  expectTotals(second, { items: files + 1, unchanged: files + 1 - changed.length, failed: 0 });

  await storage.session.execute(
    "SET storage.allow_delete_query = 'true'; DELETE FROM storage.objects",
  );
  const { backupId } = second ?? {};
  await job(trial, "restore", { backupId, type: "files" });
  problems.push(...await compare(storage, names, generations));
  return reportOf(trial);
}

function nameOf(at: number): string {
  return `folder ${String(Math.floor(at / 1000)).padStart(4, "0")}/${String(at).padStart(8, "0")}`;
}

/** Bytes that no other file has, and that do not shrink much. */
function contentOf(name: string, generation: number): Uint8Array {
  const content = new Uint8Array(FILE_BYTES);
  let state = Number(name.slice(-8)) * 2654435761 + generation + 1 | 0;
  for (let at = 0; at < content.length; at++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
    content[at] = state >>> 24;
  }
  return content;
}

/** Rows as an upload leaves them; the contents are made when they are asked for. */
async function writeRows(
  { session }: StorageServer,
  names: readonly string[],
  generations: ReadonlyMap<string, number>,
): Promise<void> {
  for (let at = 0; at < names.length; at += ROWS) {
    const rows = names.slice(at, at + ROWS).map((name) => ({
      name,
      metadata: {
        eTag: `"${md5(contentOf(name, generations.get(name) ?? 0))}"`,
        ...{ size: FILE_BYTES, contentLength: FILE_BYTES, httpStatusCode: 200 },
        ...{ mimetype: "application/octet-stream", cacheControl: "no-cache" },
        lastModified: new Date().toISOString(),
      },
    }));
    await session.query(
      `insert into storage.objects (bucket_id, name, version, metadata, user_metadata)
       select $1, r.name, gen_random_uuid()::text, r.metadata, '{}'
         from jsonb_to_recordset($2::jsonb) r (name text, metadata jsonb)
       on conflict (bucket_id, name) do update
         set version = excluded.version, metadata = excluded.metadata`,
      [BUCKET, JSON.stringify(rows)],
    );
  }
}

/** What the bucket has, beside what it had. */
async function compare(
  storage: StorageServer,
  names: readonly string[],
  generations: ReadonlyMap<string, number>,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const name of names) {
    const stored = storage.store.size === 0 ? null : await storage.bytes(BUCKET, name);
    const isSame = stored !== null && "bytes" in stored &&
      md5(stored.bytes) === md5(contentOf(name, generations.get(name) ?? 0));
    if (!isSame) wrong.push(name);
  }
  if (wrong.length === 0) return [];
  return [`${wrong.length} files are not as they were, such as ${wrong[0]}`];
}

function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}
