/**
 * A worker in a process of its own, for tests that stop it or need several. It says `inside` in the middle of
 * the first rows that it copies or loads and waits for a line; at the end it says what became of its reports.
 *
 * Arguments: URL of the database with the tables, directory of the repository, job id, milliseconds of a lease,
 * and of patience with parts that others hold; for a restore also the target's URL.
 *
 * @module
 */
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";
import { runWorker } from "../../supabase/functions/backup/jobs/run_worker.ts";
import { openRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { PartTables } from "../../supabase/functions/backup/state/part_tables.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { partBackup } from "./part_backup.ts";
import { restoreJob } from "./restore_job.ts";
import { watchedStore } from "./watched_store.ts";

const ROWS = ["copying-rows", "loading-rows"];

const [url = "", directory = "", jobId = "", leaseMs = "", patienceMs = "", targetUrl] = Deno.args;
const reports: string[] = [];
const say = (text: string) => Deno.stdout.write(new TextEncoder().encode(`${text}\n`));
const common = { leaseMs: Number(leaseMs), patienceMs: Number(patienceMs) };
let begun = false;
let atRows = false;

if (targetUrl === undefined) await backUp();
else await restore(targetUrl);
await say(JSON.stringify(reports));

async function backUp(): Promise<void> {
  await using backup = await partBackup(url, { storage: localStorage(directory) });
  await backup.work(jobId, {
    ...common,
    onError: (error) => reports.push(error.code),
    store: watched,
    storage: (storage) => ({
      ...storage,
      async put(...given) {
        await standOnce();
        return await storage.put(...given);
      },
    }),
  });
}

async function restore(targetUrl: string): Promise<void> {
  const inner = localStorage(directory);
  const storage: Storage = {
    ...inner,
    async get(...given) {
      await standOnce();
      return await inner.get(...given);
    },
  };
  const repository = await openRepository({ storage, key: null });
  const state = new State(new Secret(url));
  const definition = restoreJob({ jobId, repository, targetUrl, clock: systemClock });
  await runWorker({
    ...{ ...common, jobId, worker: crypto.randomUUID(), clock: systemClock },
    definitionOf: () => Promise.resolve(definition),
    store: watched(new PartTables(state.database)),
    onError: (error) => reports.push(error.code),
  });
  await state.close();
}

async function standOnce(): Promise<void> {
  if (begun || !atRows) return;
  begun = true;
  await say("inside");
  await Deno.stdin.read(new Uint8Array(1));
}

function watched(store: PartStore): PartStore {
  return watchedStore(store, {
    taken: ({ name }) => void (atRows = ROWS.includes(name)),
    reported: (outcome) => void reports.push(outcome),
  });
}
