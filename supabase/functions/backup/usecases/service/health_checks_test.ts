import assert from "node:assert/strict";
import { BackupError } from "../../core/errors.ts";
import { JOB_TYPES } from "../../core/job.ts";
import { DEFAULT_SETTINGS } from "../../core/settings.ts";
import { healthChecks, type HealthFacts, unknownChecks, worstOf } from "./health_checks.ts";
import type { Status, TypeOverview } from "./read_status.ts";

const NOW = new Date("2026-01-02T12:00:00Z");

/** A type whose newest backup is of this morning. */
const OVERVIEW: TypeOverview = {
  ...{ enabled: true, count: 3, nextDueAt: "2026-01-03T06:00:00.000Z", whyNotDue: null },
  last: {
    backupId: "backup_1",
    completedAt: "2026-01-02T06:00:00.000Z",
    rawBytes: 1000,
    partial: false,
  },
  ...{ overdue: false, shrunk: null, halfRestored: null, lost: { missing: [], replaced: [] } },
};

/** A service that lacks nothing, but for what the test says. */
function factsOf(
  { database, integrity, clock, ...status }: Partial<Status> & {
    integrity?: HealthFacts["integrity"];
    clock?: HealthFacts["clock"];
  } = {},
): HealthFacts {
  const channel = { name: "slack", problem: null, lastSentAt: null, lastError: null };
  return {
    now: NOW,
    status: {
      ...{ healthy: true, settings: DEFAULT_SETTINGS, settingsVersions: [] },
      settingsFrom: ["defaults", "environment", "backup_config"],
      ...{ settingsProblems: [], runningJobs: [], unfinishedRestores: [] },
      notifications: {
        ...{ ok: true, found: "by slack", open: [] },
        channels: [{ ...channel, lastFailedAt: null, unsent: 0 }],
      },
      database: database ?? { ok: true, found: "reachable, tables there" },
      storage: { ok: true, found: "3 backups", location: "s3://backups" },
      heldMoments: { ok: true, found: "none is held" },
      recoverable: { ok: true, found: "backup_1 at 2026-01-02T07:00:00.000Z" },
      backups: Object.fromEntries(
        JOB_TYPES.map((type) => [type, OVERVIEW]),
      ) as Status["backups"],
      verification: { nextDueAt: null, whyNotDue: null },
      cleanup: { nextDueAt: null, whyNotDue: null },
      destinations: [{
        ...{ name: "offsite", type: "s3", failures: 0, nextAt: null, why: null },
        lastCopy: { jobId: "replicate_1", at: "2026-01-02T08:00:00.000Z" },
      }],
      ...status,
    },
    integrity: integrity === undefined
      ? { lastAt: "2026-01-02T05:00:00.000Z", damaged: [] }
      : integrity,
    clock: clock === undefined ? { installed: true, found: "it calls", next: null } : clock,
  };
}

/** The service with other backups of one type. */
function withBackups(type: "database" | "files", other: Partial<TypeOverview>): HealthFacts {
  const { status: { backups } } = factsOf();
  return factsOf({ backups: { ...backups, [type]: { ...OVERVIEW, ...other } } });
}

/** What is not well, as `name severity`. */
function notOk(facts: HealthFacts): string[] {
  return healthChecks(facts)
    .filter(({ severity }) => severity !== "ok")
    .map(({ name, severity }) => `${name} ${severity}`);
}

Deno.test("healthChecks() finds nothing where all is well, and has nothing to recommend", () => {
  const checks = healthChecks(factsOf());
  assert.deepEqual(notOk(factsOf()), []);
  assert.equal(worstOf(checks), "ok");
  assert.deepEqual(checks.filter(({ recommendation }) => recommendation !== null), []);
  assert.deepEqual(checks.map(({ name }) => name), [
    ...["database", "storage", "lost-backups"],
    ...JOB_TYPES.map((type) => `last-backup-${type}`),
    ...["sizes", "half-restored-backups", "integrity", "incidents", "copy-offsite"],
    "restore-capability",
    ...["unfinished-restores", "held-moments", "clock", "settings", "notifications"],
  ]);
});

const LOST = { missing: ["backup_0"], replaced: [] };
const LATE = { overdue: true };
const NONE = { last: null, count: 0 };
const COPY = factsOf().status.destinations[0]!;

/** The service with an incident that is open. */
function withIncident(about: string): HealthFacts {
  const { status: { notifications } } = factsOf();
  const since = "2026-01-02T05:00:00.000Z";
  const open = [{ incidentId: "1", about, since, count: 1, escalated: false }];
  return factsOf({ notifications: { ...notifications, open } });
}

/** What is wrong, and what has to be found of it. */
const TROUBLES: Record<string, [HealthFacts, string]> = {
  "no backup of the database": [
    withBackups("database", { ...NONE, overdue: true }),
    "last-backup-database critical",
  ],
  "a late backup of the database": [withBackups("database", LATE), "last-backup-database critical"],
  "no backup of another type": [withBackups("files", NONE), "last-backup-files warning"],
  "a late backup of another type": [withBackups("files", LATE), "last-backup-files warning"],
  "a backup that left items out": [
    withBackups("files", { last: { ...OVERVIEW.last!, partial: true } }),
    "last-backup-files warning",
  ],
  "a backup that has shrunk": [withBackups("database", { shrunk: "it has" }), "sizes warning"],
  "a backup of a half restored database": [
    withBackups("database", { halfRestored: "it was" }),
    "half-restored-backups warning",
  ],
  "damage": [
    factsOf({ integrity: { lastAt: "2026-01-02T05:00:00.000Z", damaged: ["backup_1"] } }),
    "integrity critical",
  ],
  "damage of a backup that a later one has taken the place of": [
    factsOf({ integrity: { lastAt: "2026-01-02T05:00:00.000Z", damaged: ["backup_0"] } }),
    "integrity warning",
  ],
  "damage of a backup of a type that has a later one, which is damaged as well": [
    factsOf({
      integrity: { lastAt: "2026-01-02T05:00:00.000Z", damaged: ["backup_0", "backup_1"] },
    }),
    "integrity critical",
  ],
  "damage outside of backups": [withIncident("damage:repository"), "incidents critical"],
  "damage of a copy": [withIncident("damage:copy:offsite:backup_1"), "incidents critical"],
  "another incident": [withIncident("verify:database"), "incidents warning"],
  "backups that were never verified": [
    factsOf({ integrity: { lastAt: null, damaged: [] } }),
    "integrity warning",
  ],
  "a verification that is late": [
    // One and a half times 24 hours ago, to the millisecond.
    factsOf({ integrity: { lastAt: "2026-01-01T00:00:00.000Z", damaged: [] } }),
    "integrity warning",
  ],
  "verification that is switched off": [
    factsOf({ settings: { ...DEFAULT_SETTINGS, enableBackupVerification: false } }),
    "integrity unknown",
  ],
  "a copy that failed": [
    factsOf({ destinations: [{ ...COPY, failures: 2 }] }),
    "copy-offsite warning",
  ],
  "a copy that was never made": [
    factsOf({ destinations: [{ ...COPY, lastCopy: null }] }),
    "copy-offsite warning",
  ],
  "a copy that is not brought along": [
    factsOf({ destinations: [{ ...COPY, why: "it is switched off" }] }),
    "copy-offsite warning",
  ],
  "a copy that is too old, though one goes on": [
    factsOf({
      destinations: [{
        ...{ ...COPY, nextAt: "2026-01-01T00:00:00.000Z", why: "one goes on" },
        lastCopy: { jobId: "r", at: "2025-12-31T23:59:59.000Z" },
      }],
    }),
    "copy-offsite warning",
  ],
  "a copy that is due for hours": [
    factsOf({ destinations: [{ ...COPY, nextAt: "2026-01-02T05:59:59.000Z" }] }),
    "copy-offsite warning",
  ],
  "backups that were never tried": [
    factsOf({ recoverable: { ok: false, found: "not tried" } }),
    "restore-capability warning",
  ],
  "a restore that is half done": [
    factsOf({ unfinishedRestores: ["restore_1 is not complete"] }),
    "unfinished-restores critical",
  ],
  "a stray keeper": [
    factsOf({ heldMoments: { ok: false, found: "backup/1 (keeper) for 99 s" } }),
    "held-moments warning",
  ],
  "no clock": [
    factsOf({ clock: { installed: false, found: "no job calls tick", next: "init" } }),
    "clock warning",
  ],
  "a wrong setting": [
    factsOf({ settingsProblems: [{ path: "maxWorkers", message: "is no number" }] }),
    "settings warning",
  ],
  "nobody who is told": [
    factsOf({ notifications: { ok: true, found: "nobody", channels: [], open: [] } }),
    "notifications warning",
  ],
  "a channel that fails": [
    factsOf({ notifications: { ...factsOf().status.notifications, ok: false } }),
    "notifications warning",
  ],
};

for (const [trouble, [facts, expected]] of Object.entries(TROUBLES)) {
  Deno.test(`healthChecks() finds ${trouble}, that alone, and says what to do`, () => {
    assert.deepEqual(notOk(facts), [expected]);
    const check = healthChecks(facts).find(({ name }) => expected.startsWith(`${name} `));
    assert.ok(check?.recommendation, JSON.stringify(check));
    assert.equal(worstOf(healthChecks(facts)), expected.split(" ")[1]);
  });
}

Deno.test("healthChecks() calls the storage reachable that has lost backups", () => {
  const { status: { backups } } = factsOf();
  const storage = { ok: false, found: "backups_lost: backup_0", location: "s3://backups" };
  const lost = { ...backups, database: { ...OVERVIEW, lost: LOST } };
  assert.deepEqual(notOk(factsOf({ storage, backups: lost })), ["lost-backups critical"]);
});

Deno.test("healthChecks() still judges the backups in storage while the database is down", () => {
  const { status: { destinations } } = factsOf();
  const down = factsOf({
    database: { ok: false, found: "database_unreachable: no connection" },
    recoverable: { ok: false, found: "the tables do not say" },
    destinations: destinations.map((copy) => ({ ...copy, lastCopy: null, failures: null })),
    heldMoments: { ok: true, found: "unknown while the tables cannot be read" },
    settingsFrom: ["defaults", "environment"],
    ...{ integrity: null, clock: null },
  });
  assert.deepEqual(notOk(down), [
    "database critical",
    "lost-backups unknown",
    "integrity unknown",
    "incidents unknown",
    "copy-offsite unknown",
    "restore-capability unknown",
    "unfinished-restores unknown",
    "held-moments unknown",
    "clock unknown",
    "settings unknown",
    "notifications unknown",
  ]);
  const last = healthChecks(down).find(({ name }) => name === "last-backup-database");
  assert.match(last!.message, /by the environment alone/);
});

Deno.test("healthChecks() does not hold what could not be looked at for something to end", () => {
  const heldMoments = { ok: false, code: "database_unreachable", found: "too many connections" };
  const facts = factsOf({ heldMoments });
  assert.deepEqual(notOk(facts), ["held-moments unknown"]);
  const check = healthChecks(facts).find(({ name }) => name === "held-moments");
  assert.match(check!.message, /too many connections/);
  assert.equal(check!.recommendation, null);
});

Deno.test("healthChecks() says how damage ends, by requests with the ids that it is about", () => {
  const damaged = ["backup_1"];
  const facts = factsOf({ integrity: { lastAt: "2026-01-02T05:00:00.000Z", damaged } });
  const check = healthChecks(facts).find(({ name }) => name === "integrity");
  assert.match(check!.recommendation!, /^Make a new backup now: .*action=backup-database/);
  assert.match(check!.recommendation!, /verify" .*"backupId":"backup_1","level":"full"/);
  assert.match(check!.recommendation!, /init" .*"giveUpBackups":\["backup_1"\]/);
});

Deno.test("healthChecks() names the first of many ids, and the settings that can be taken back", () => {
  const damaged = Array.from({ length: 40 }, (_, i) => `backup_${i}`);
  const facts = factsOf({
    integrity: { lastAt: "2026-01-02T05:00:00.000Z", damaged },
    settingsProblems: [{ path: "maxWorkers", message: "is no number" }],
  });
  const checks = Object.fromEntries(healthChecks(facts).map((check) => [check.name, check]));
  assert.match(checks.integrity!.message, /backup_4 and 35 more$/);
  assert.match(checks.settings!.recommendation!, /\{"unset":\["maxWorkers"\]\}/);
});

Deno.test("unknownChecks() finds one thing critical, by the error, and knows nothing else", () => {
  const names = (code: "invalid_config" | "database_error") =>
    unknownChecks(new BackupError(code, "Cannot read it")).filter(({ severity }) =>
      severity !== "unknown"
    ).map(({ name, severity, message }) => [name, severity, message]);
  assert.deepEqual(names("invalid_config"), [
    ["settings", "critical", "invalid_config: Cannot read it"],
  ]);
  assert.deepEqual(names("database_error"), [
    ["database", "critical", "database_error: Cannot read it"],
  ]);
  const named = unknownChecks(new BackupError("database_error", "m")).map(({ name }) => name);
  const usual = healthChecks(factsOf()).map(({ name }) => name)
    .filter((name) => !/^(copy|last-backup)-/.test(name));
  assert.deepEqual(named, usual);
});

Deno.test("healthChecks() knows nothing of backups while the storage is down", () => {
  const none = { ...OVERVIEW, ...NONE, overdue: true };
  const down = factsOf({
    storage: { ok: false, found: "storage_unreachable: no answer", location: null },
    recoverable: { ok: false, found: "not recoverable yet: see storage" },
    backups: Object.fromEntries(JOB_TYPES.map((type) => [type, none])) as Status["backups"],
  });
  const found = notOk(down);
  assert.equal(found[0], "storage critical");
  const others = ["lost-backups", ...JOB_TYPES.map((type) => `last-backup-${type}`), "sizes"];
  assert.deepEqual(found.slice(1), [
    ...others.map((name) => `${name} unknown`),
    ...["half-restored-backups unknown", "restore-capability unknown"],
  ]);
});

Deno.test("healthChecks() says that it is the storage which hides whether backups are whole", () => {
  const storage = { ok: false, found: "invalid_config: none is set up", location: null };
  const integrity = healthChecks(factsOf({ storage, integrity: null }))
    .find(({ name }) => name === "integrity");
  assert.deepEqual(integrity, {
    ...{ name: "integrity", severity: "unknown", recommendation: null },
    message: "not known while the storage cannot be read",
  });
});

Deno.test("healthChecks() leaves out types that are switched off, and what was never backed up cannot be verified", () => {
  const { status: { backups } } = factsOf();
  const off = { ...OVERVIEW, ...NONE, enabled: false };
  const none = Object.fromEntries(JOB_TYPES.map((type) => [type, off])) as typeof backups;
  const facts = factsOf({ backups: none, integrity: { lastAt: null, damaged: [] } });
  assert.deepEqual(notOk(facts), ["integrity unknown"]);
});

Deno.test("worstOf() holds not to know for worse than well, and for better than a warning", () => {
  const worst = (...severities: Parameters<typeof worstOf>[0][number]["severity"][]) =>
    worstOf(severities.map((severity) => ({ severity })));
  assert.equal(worst("ok", "unknown", "ok"), "unknown");
  assert.equal(worst("warning", "unknown"), "warning");
  assert.equal(worst("warning", "critical", "ok"), "critical");
  assert.equal(worst(), "ok");
});
