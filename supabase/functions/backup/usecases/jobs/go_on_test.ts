import assert from "node:assert/strict";
import { BackupError } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import { goOn } from "./go_on.ts";

const RUNNING = { recorded: true, status: "running" } as Job;

/** What was woken and reported when somebody looked at these jobs. */
async function look(
  jobs: Job[],
  waiting: () => Promise<{ parts: number; nextInMs: number | null; workers: number }>,
) {
  const seen = { asked: 0, begun: 0, reported: [] as string[] };
  const background: Promise<unknown>[] = [];
  const deps = {
    state: { parts: { waiting: () => (seen.asked++, waiting()) } },
    drive: { begin: () => void seen.begun++ },
    inBackground: (work: Promise<unknown>) => void background.push(work),
    reportError: (error: BackupError) => void seen.reported.push(error.code),
  };
  goOn(deps as unknown as Parameters<typeof goOn>[0], jobs);
  await Promise.all(background);
  return seen;
}

const left = () => Promise.resolve({ parts: 3, nextInMs: 0, workers: 0 });

Deno.test("goOn wakes a worker for a running job that nobody works on", async () => {
  assert.deepEqual(await look([RUNNING], left), { asked: 1, begun: 1, reported: [] });
  const held = () => Promise.resolve({ parts: 3, nextInMs: 4000, workers: 0 });
  assert.equal((await look([RUNNING], held)).begun, 1);
});

Deno.test("goOn leaves a job alone that somebody works on, or that has nothing to be done", async () => {
  const busy = () => Promise.resolve({ parts: 3, nextInMs: 0, workers: 1 });
  assert.equal((await look([RUNNING], busy)).begun, 0);
  const empty = () => Promise.resolve({ parts: 0, nextInMs: null, workers: 0 });
  assert.equal((await look([RUNNING], empty)).begun, 0);
});

Deno.test("goOn asks nothing about jobs that have ended or are in memory only", async () => {
  const ended = { ...RUNNING, status: "completed" } as Job;
  const alone = { ...RUNNING, recorded: false } as Job;
  assert.deepEqual(await look([ended, alone], left), { asked: 0, begun: 0, reported: [] });
});

Deno.test("goOn reports that the tables could not be asked", async () => {
  const down = () => Promise.reject(new BackupError("database_unreachable", "Cannot reach it"));
  assert.deepEqual(await look([RUNNING], down), {
    asked: 1,
    begun: 0,
    reported: ["database_unreachable"],
  });
});
