/**
 * Verifications and cleanups of a copy of the repository, on a real database and two folders. The tests are one
 * story, each goes on from the one before, so the file is run as a whole.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { openRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import type { Deps } from "../../supabase/functions/backup/usecases/deps.ts";
import type { CleanupReport } from "../../supabase/functions/backup/usecases/keep/cleanup_in_parts.ts";
import { startCleanup } from "../../supabase/functions/backup/usecases/keep/start_cleanup.ts";
import { startDue } from "../../supabase/functions/backup/usecases/service/start_due.ts";
import type { RunningService } from "../../scripts/start_service.ts";
import { noise, writeSampleBackup } from "../support/repository_samples.ts";
import {
  call,
  NOTHING_DUE,
  post,
  type ServiceUnderTest,
  startServiceUnderTest,
} from "../support/service.ts";

const shared = { sanitizeOps: false, sanitizeResources: false };

/** Ages in days of the backups before the newest. */
const OLD = [80, 40, 5] as const;

/** The story's places: the service knows the copy as `offsite`. */
interface Places extends ServiceUnderTest {
  both: RunningService;
  /** Its variables beside the usual ones: the copy, and rules that keep little. */
  strict: Record<string, string>;
  primary: string;
  copy: string;
  /** Ids of the backups, by their days. */
  ids: Record<number, string>;
  /** Path of a chunk of rows that the newest backup alone has. */
  rowsOfNewest: string;
}

let starting: Promise<Places> | undefined;
const start = () => starting ??= prepare();

async function prepare(): Promise<Places> {
  const under = await startServiceUnderTest();
  const primary = under.variables.BACKUP_STORAGE_PATH!;
  const copy = `${primary}-offsite`;
  const strict = {
    BACKUP_DESTINATIONS: JSON.stringify([{ name: "offsite", type: "local", path: copy }]),
    ...{ BACKUP_WEEKLY_KEPT: "0", BACKUP_MONTHLY_KEPT: "0", BACKUP_CLEANUP_GRACE_HOURS: "1" },
  };
  const both = under.variant(strict);
  await post(both, "init");
  const ids: Record<number, string> = {};
  for (const days of OLD) ids[days] = await backUpInThePast(under, days);
  const before = await chunksIn(primary);
  ids[1] = await backUpInThePast(under, 1);
  const added = (await chunksIn(primary)).filter((path) => !before.includes(path));
  const sizes = added.map((path) => Deno.statSync(`${primary}/${path}`).size);
  const rowsOfNewest = added[sizes.indexOf(Math.max(...sizes))]!;
  await post(both, "init"); // the tables learn of them
  const { success } = await new Deno.Command("cp", { args: ["-a", primary, copy] }).output();
  assert.ok(success);
  return { ...under, strict, both, primary, copy, ids, rowsOfNewest };
}

/** A backup that is this old by its id. */
async function backUpInThePast({ variables }: ServiceUnderTest, days: number): Promise<string> {
  const repository = await openRepository({
    storage: localStorage(variables.BACKUP_STORAGE_PATH!),
    key: new Secret(variables.BACKUP_ENCRYPTION_KEY!),
  });
  const at = new Date(Date.now() - days * 86_400_000).toISOString().replace(/[-:.]/g, "");
  const backupId = `backup_${at}_${String(days).padStart(10, "0")}`;
  await writeSampleBackup(repository, { backupId, parts: [noise(5000, days)] });
  return backupId;
}

/** Paths below the repository's folder. */
async function chunksIn(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name } of Deno.readDir(`${folder}/chunks`)) {
    for await (const chunk of Deno.readDir(`${folder}/chunks/${name}`)) {
      paths.push(`chunks/${name}/${chunk.name}`);
    }
  }
  return paths;
}

async function rows(query: string): Promise<Record<string, unknown>[]> {
  await using session = await (await start()).admin();
  return await session.query(query) as Record<string, unknown>[];
}

/** The service's use-cases in this process; nothing but copies and cleanups is due by itself. */
async function withDeps(work: (deps: Deps) => Promise<void>): Promise<void> {
  const { variables, strict } = await start();
  const all: Record<string, string> = {
    ...{ ...variables, ...strict, ...NOTHING_DUE },
    BACKUP_ENABLE_VERIFICATION: "false",
  };
  const deps = createDeps({ environment: readEnvironment((name) => all[name] || undefined) });
  try {
    await work(deps);
  } finally {
    await deps.idle();
    await deps.state.close();
  }
}

/** What the tables say of the soundness of backups: which values there are. */
const marks = async () =>
  (await rows("select distinct integrity_verified as mark from public.backup_jobs"))
    .map(({ mark }) => mark);

const openAlerts = async () =>
  (await rows("select alert_key from backup_internal.alerts where state = 'open' order by 1"))
    .map(({ alert_key }) => alert_key);

Deno.test(
  "a copy is verified, and its findings are recorded for its place alone",
  shared,
  async () => {
    const { both, copy } = await start();
    const sound = await post(both, "verify&wait=30", { level: "full", destination: "offsite" });
    assert.equal(sound.status, 200, JSON.stringify(sound.body));
    assert.equal(sound.body.data.result.backups.length, OLD.length + 1);
    const found = await rows(`select location, details->>'destination' as destination,
    bool_and(success) as success, count(*)::int from public.backup_verification group by 1, 2`);
    const [{ location, ...others }] = found as [Record<string, unknown>];
    assert.match(String(location), new RegExp(`${copy}/?$`));
    assert.deepEqual(others, { destination: "offsite", success: true, count: OLD.length + 1 });
    assert.deepEqual(await marks(), [null]);
  },
);

Deno.test(
  "damage in a copy is told as such, and the backup is as good as before",
  shared,
  async () => {
    const { both, copy, ids, rowsOfNewest } = await start();
    const bytes = await Deno.readFile(`${copy}/${rowsOfNewest}`);
    bytes[bytes.length >> 1]! ^= 1;
    await Deno.writeFile(`${copy}/${rowsOfNewest}`, bytes);
    await Deno.remove(`${copy}/backups/${ids[5]}`); // the copy is behind, or retention let it go
    const { body } = await post(both, "verify&wait=30", { level: "full", destination: "offsite" });
    const { error } = body;
    assert.equal(error.code, "object_altered", JSON.stringify(body));
    assert.ok(error.message.startsWith(`Cannot vouch for ${ids[1]} in offsite: `), error.message);
    assert.match(error.hint, /action=replicate.*"destination":"offsite","level":"full"/);
    assert.deepEqual(
      [
        ...new Set(error.details.problems.flatMap(
          ({ backups }: { backups: string[] }) => backups,
        )),
      ],
      [ids[1]],
      "what the copy lacks is no damage",
    );
    assert.deepEqual(await marks(), [null]);
    assert.deepEqual(await openAlerts(), [`damage:copy:offsite:${ids[1]}`]);

    assert.equal((await post(both, "verify&wait=30", { level: "full" })).status, 200);
    assert.deepEqual(await marks(), [true]);
    assert.deepEqual(await openAlerts(), [`damage:copy:offsite:${ids[1]}`]);
  },
);

Deno.test("what there is not is refused by its name", shared, async () => {
  const { both, ids } = await start();
  for (const action of ["verify", "cleanup"]) {
    const { status, body } = await post(both, action, { destination: "elsewhere" });
    assert.deepEqual([status, body.error.code], [400, "invalid_request"], JSON.stringify(body));
    assert.match(body.error.message + body.error.hint, /elsewhere.*offsite/);
  }
  const lacking = await post(both, "verify", { backupId: ids[5], destination: "offsite" });
  assert.deepEqual([lacking.status, lacking.body.error.code], [404, "backup_not_found"]);
});

/** Starts a cleanup and waits for what it did. */
async function cleanUp(wish: { dryRun?: boolean; destination?: string }) {
  const { status, body } = await post((await start()).both, "cleanup&wait=30", wish);
  assert.equal(status, 200, JSON.stringify(body));
  return body.data.result;
}

const idsOf = (list: { backupId: string }[]) => list.map(({ backupId }) => backupId);

Deno.test("locks of the copy's own storage count there, and nowhere else", shared, async () => {
  const { ids } = await start();
  await withDeps(async (deps) => {
    const open = deps.openStorage;
    const lock = { mode: "compliance", days: 90, legalHold: false } as const;
    deps.openStorage = async (settings, options) => {
      const storage = await open(settings, options);
      return options?.destination === undefined ? storage : Object.assign(storage, { lock });
    };
    const caller = { name: "default", requestId: "r1" };
    const oldest = async (destination?: string) => {
      const { jobId } = await startCleanup(deps, caller, { dryRun: true, destination });
      const { keptBackups } = (await deps.jobs.wait(jobId, 60_000))!
        .result as unknown as CleanupReport;
      return keptBackups.find(({ backupId }) => backupId === ids[80])?.why;
    };
    assert.match(await oldest("offsite") ?? "", /^the storage locks it until /);
    assert.equal(await oldest(), undefined);
  });
});

Deno.test("nothing is freed in a copy that backups are being copied to", shared, async () => {
  await rows(`insert into backup_internal.replicate_jobs (job_id, backup_id, type, status)
    values ('replicate_x', 'offsite', 'database', 'running') returning 1`);
  const there = await cleanUp({ dryRun: true, destination: "offsite" });
  assert.equal(there.notFreed, "a replication to offsite runs");
  await rows("delete from backup_internal.replicate_jobs returning 1");
});

Deno.test(
  "a cleanup of a copy changes the copy, and nothing that tells of the primary storage",
  shared,
  async () => {
    const { both, primary, copy, ids } = await start();
    const told = `select job_id, freed_at, retention_until, location
    from public.backup_jobs order by job_id`;
    const before = await rows(told);
    const files = async (folder: string) =>
      (await Array.fromAsync(Deno.readDir(`${folder}/backups`))).map(({ name }) => name).sort();
    const due = async () => (await call(both, "status")).body.data.cleanup.nextDueAt;
    const dueBefore = await due();
    const done = await cleanUp({ destination: "offsite" });
    assert.equal(done.notFreed, null);
    assert.deepEqual(idsOf(done.expired), [ids[80]]);
    assert.deepEqual(idsOf(done.keptBackups), [ids[1], ids[40]], "the last good one of this place");
    assert.deepEqual(done.pruned, {});
    assert.deepEqual(await files(copy), [ids[40], ids[1]].sort());
    assert.deepEqual(await files(primary), Object.values(ids).sort());
    assert.deepEqual(await rows(told), before);
    assert.equal(await due(), dueBefore);
    assert.deepEqual(
      (await rows(`select job_id from public.backup_jobs
        where locations @> '[{"copy": "offsite"}]' order by 1`)).map(({ job_id }) => job_id),
      [ids[40], ids[1]],
      "the tables say which backups the copy has",
    );
    assert.deepEqual(
      await rows(`select distinct backup_id, reason from backup_internal.cleanup_jobs
      where backup_id is not null order by reason`),
      [{ backup_id: "offsite", reason: "dry run" }, { backup_id: "offsite", reason: null }],
    );
    assert.deepEqual(idsOf((await cleanUp({})).expired), [ids[80], ids[40]]);
    assert.deepEqual(
      (await rows("select job_id from public.backup_jobs where freed_at is not null order by 1"))
        .map(({ job_id }) => job_id),
      [ids[80], ids[40]],
    );
    assert.deepEqual(await files(copy), [ids[40], ids[1]].sort());
    assert.notEqual(await due(), dueBefore);
  },
);

Deno.test(
  "a tick cleans a copy up, a day after the last time and once it is up to date",
  shared,
  async () => {
    await withDeps(async (deps) => {
      const tick = async () => (await startDue(deps))!.started;
      await rows(`insert into backup_internal.replicate_jobs
        (job_id, backup_id, type, status, completed_at)
      values ('replicate_y', 'offsite', 'database', 'completed', now()) returning 1`);
      assert.deepEqual(await tick(), []);
      await rows(`update backup_internal.cleanup_jobs
      set started_at = started_at - interval '25 hours' where backup_id = 'offsite' returning 1`);
      const [jobId, ...others] = await tick();
      const job = await deps.jobs.wait(jobId!, 60_000);
      const found = [job?.kind, job?.backupId, job?.status, others];
      assert.deepEqual(found, ["cleanup", "offsite", "completed", []]);
      assert.deepEqual(await tick(), []);
    });
  },
);

Deno.test("stop", shared, async () => {
  const { both, copy, stop } = await start();
  await both.stop();
  await Deno.remove(copy, { recursive: true });
  await stop();
});
