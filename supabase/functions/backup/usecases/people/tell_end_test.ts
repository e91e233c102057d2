import assert from "node:assert/strict";
import type { Job, JobError } from "../../core/job.ts";
import type { NotifyEvent } from "../../core/notify_event.ts";
import type { Deps } from "../deps.ts";
import { type EndedJob, tellEnd } from "./tell_end.ts";

const OPEN = ["damage:a", "damage:2-x"];
const OPEN_IN_COPY = ["damage:copy:offsite:a", "damage:copy:offsite:repository"];
const ALL_OPEN = [...OPEN, ...OPEN_IN_COPY, "damage:copy:offsite-2:a"];

const FILES = [
  "backup_files_20260101T000000000Z_0000000000",
  "backup_files_20260102T000000000Z_0000000000",
] as const;

/** The events of a job's end. */
async function eventsOf(
  { how, kind = "backup", asked = {}, error = null, result = null, sizes = {} }: {
    how: EndedJob["how"];
    kind?: Job["kind"];
    asked?: Record<string, unknown>;
    error?: JobError | null;
    result?: Record<string, unknown> | null;
    sizes?: Record<string, number>;
  },
): Promise<NotifyEvent[]> {
  const events: NotifyEvent[] = [];
  const job = { jobId: `${kind}_1`, kind, type: "files", backupId: null } as const;
  const backups = Object.entries(sizes).map(([backupId, rawBytes]) => ({
    ...{ backupId, type: "files", createdAt: backupId, partial: false, totals: { rawBytes } },
  }));
  const repository = {
    backupIds: () => Promise.resolve(Object.keys(sizes)),
    listBackups: () => Promise.resolve({ backups }),
  };
  const deps = {
    settings: () => Promise.resolve({ settings: {} }),
    openRepository: () => Promise.resolve(repository),
    jobs: { get: () => ({ ...job, error, result }) },
    state: {
      alerts: {
        open: ({ prefix }: { prefix: string }) =>
          Promise.resolve(
            ALL_OPEN.filter((key) => key.startsWith(prefix)).map((key) => ({ key })),
          ),
      },
    },
    notify: (event: NotifyEvent) => {
      events.push(event);
      return Promise.resolve();
    },
  } as unknown as Deps;
  const request = { task: kind, action: `backup-files`, caller: {}, ...asked };
  await tellEnd(deps, { how, job, asked: request as unknown as EndedJob["asked"] });
  return events;
}

const short = ({ kind, key }: NotifyEvent) => [kind, key];

Deno.test("tellEnd() tells of a good backup, and that nothing was left out", async () => {
  const events = await eventsOf({ how: "completed", result: { partial: false } });
  assert.deepEqual(events.map(short), [
    ["job-recovered", undefined],
    ["job-recovered", "partial:files"],
    ["job-recovered", "shrunk:files"],
    ["job-recovered", "resized:files"],
  ]);
});

Deno.test("tellEnd() tells of a backup with less than half of the one before it", async () => {
  const sizes = { [FILES[0]]: 9_000_000, [FILES[1]]: 2_000_000 };
  const events = await eventsOf({ how: "completed", sizes });
  const shrunk = events.find(({ key }) => key === "shrunk:files");
  assert.deepEqual([shrunk?.kind, shrunk?.priority], ["job-failed", "high"]);
  assert.ok(shrunk?.message.includes(`${FILES[1]} holds 2000000 bytes`), shrunk?.message);
  assert.ok(shrunk?.todo?.includes(FILES[0]));
  assert.equal(events.find(({ key }) => key === "resized:files")?.kind, "job-recovered");
});

Deno.test("tellEnd() tells without alarm of a backup that is more than a fifth larger or smaller", async () => {
  for (const bytes of [12_000_001, 7_999_999]) {
    const events = await eventsOf({
      how: "completed",
      sizes: { [FILES[0]]: 10_000_000, [FILES[1]]: bytes },
    });
    const resized = events.find(({ key }) => key === "resized:files");
    assert.deepEqual([resized?.kind, resized?.priority], ["job-failed", "low"]);
    assert.ok(resized?.message.includes(`${FILES[1]} holds ${bytes} bytes`), resized?.message);
    assert.equal(events.find(({ key }) => key === "shrunk:files")?.kind, "job-recovered");
  }
});

Deno.test("tellEnd() tells of a backup that had to leave items out as an incident of its own", async () => {
  const [, event] = await eventsOf({ how: "completed", result: { partial: true } });
  assert.deepEqual([event?.kind, event?.key, event?.priority], [
    "job-failed",
    "partial:files",
    "medium",
  ]);
});

Deno.test("tellEnd() says why a job failed and what to do", async () => {
  const error = { code: "storage_full", message: "Cannot store: no room", hint: "Make room." };
  const [event, ...others] = await eventsOf({ how: "failed", error });
  assert.deepEqual(others, []);
  assert.deepEqual([event?.kind, event?.message, event?.todo], [
    "job-failed",
    "Cannot store: no room",
    "Make room.",
  ]);
  assert.deepEqual(event?.details, { code: "storage_full", action: "backup-files" });
});

Deno.test("tellEnd() is silent about cancelled jobs, and about plans, which tell for themselves", async () => {
  assert.deepEqual(await eventsOf({ how: "cancelled" }), []);
  assert.deepEqual(await eventsOf({ how: "failed", kind: "recovery" }), []);
  const cleanup = await eventsOf({ how: "failed", kind: "cleanup", asked: { plan: {} } });
  assert.deepEqual(cleanup.map(({ kind }) => kind), ["job-failed"]);
});

Deno.test("tellEnd() knows damage by what a verification found, and the same damage by its key", async () => {
  const damage = (...backups: string[]) =>
    eventsOf({
      how: "failed",
      kind: "verify",
      error: {
        code: "object_altered",
        message: "Cannot vouch",
        details: { problems: backups.map((backup) => ({ backups: [backup] })) },
      },
    });
  const [one] = await damage("backup_a", "backup_a");
  assert.deepEqual(short(one!), ["damage", "damage:backup_a"]);
  assert.deepEqual([one!.details?.backups, one!.details?.backupsInAll], ["backup_a", 1]);
  const [both] = await damage("backup_a", "backup_b");
  const [again] = await damage("backup_b", "backup_a");
  assert.equal(both!.key, again!.key);
  assert.notEqual(both!.key, one!.key);
  assert.deepEqual(short((await damage())[0]!), ["damage", "damage:repository"]);
  const error = { code: "storage_unreachable", message: "Cannot read" };
  const [other] = await eventsOf({ how: "failed", kind: "verify", error });
  assert.deepEqual(short(other!), ["job-failed", undefined]);
});

Deno.test("tellEnd() ends damage only after everything of it was read again", async () => {
  const keys = async (asked: Record<string, unknown>) =>
    (await eventsOf({ how: "completed", kind: "verify", asked })).map(({ key }) => key);
  assert.deepEqual(await keys({ level: "full", backupId: null }), [undefined, ...OPEN]);
  assert.deepEqual(await keys({ level: "full", backupId: "a" }), [undefined, "damage:a"]);
  const some = { level: "full", backupId: null, backups: ["b", "c"] };
  assert.deepEqual(await keys(some), [undefined, "damage:b", "damage:c"]);
  assert.deepEqual(await keys({ level: "quick", backupId: null }), [undefined]);
});

Deno.test("tellEnd() keeps what goes on in a copy apart from the primary storage", async () => {
  const destination = "offsite";
  const keys = async (kind: "verify" | "cleanup", how: EndedJob["how"], asked: object) =>
    (await eventsOf({ how, kind, asked: { plan: { destination }, destination, ...asked } }))
      .map(short);
  for (const kind of ["verify", "cleanup"] as const) {
    const key = `${kind}:copy:offsite`;
    assert.deepEqual(await keys(kind, "failed", {}), [["job-failed", key]]);
    assert.deepEqual(await keys(kind, "completed", {}), [["job-recovered", key]]);
  }
  const whole = await keys("verify", "completed", { level: "full", backupId: null });
  assert.deepEqual(whole.slice(1).map(([, key]) => key), OPEN_IN_COPY);
  const one = await keys("verify", "completed", { level: "full", backupId: "a" });
  assert.deepEqual(one.slice(1).map(([, key]) => key), ["damage:copy:offsite:a"]);
  const [damage] = await eventsOf({
    ...{ how: "failed", kind: "verify", asked: { destination } },
    error: { code: "object_altered", message: "Cannot vouch", details: { problems: [] } },
  });
  assert.deepEqual(short(damage!), ["damage", "damage:copy:offsite:repository"]);
});

Deno.test("tellEnd() tells of replications by their destination, and nothing of one that only looks", async () => {
  let count = 0;
  const tell = (how: EndedJob["how"], level: string, dryRun = false) =>
    eventsOf({
      result: { compared: { onlyInCopy: { count } } },
      ...{ how, kind: "replicate", asked: { destination: "offsite", level, dryRun } },
      error: { code: "object_altered", message: "Cannot vouch", details: { problems: [] } },
    });
  const keys = async (...asked: Parameters<typeof tell>) => (await tell(...asked)).map(short);
  assert.deepEqual(await keys("failed", "full"), [["job-failed", "replicate:offsite"]]);
  assert.deepEqual(await keys("completed", "quick"), [["job-recovered", "replicate:offsite"]]);
  // It has mended what was damaged in the copy.
  assert.deepEqual(
    (await keys("completed", "full")).map(([, key]) => key),
    ["replicate:offsite", ...OPEN_IN_COPY],
  );
  count = 1; // damage may be in what only the copy has
  assert.deepEqual(await keys("completed", "full"), [["job-recovered", "replicate:offsite"]]);
  assert.deepEqual(await tell("failed", "full", true), []);
  assert.deepEqual(await tell("completed", "full", true), []);
});
