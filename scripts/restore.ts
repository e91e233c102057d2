/**
 * Restores a backup from a repository into a database, without the service: `deno task restore --help`.
 *
 * @module
 */
import { systemClock } from "../supabase/functions/backup/core/clock.ts";
import type { BackupError } from "../supabase/functions/backup/core/errors.ts";
import { RELEASE } from "../supabase/functions/backup/core/release.ts";
import { Secret } from "../supabase/functions/backup/core/secret.ts";
import type { DumpOptions } from "../supabase/functions/backup/dump/mod.ts";
import { connect } from "../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../supabase/functions/backup/postgres/session.ts";
import type { Repository } from "../supabase/functions/backup/repository/mod.ts";
import type { Failure, LeftOut } from "../supabase/functions/backup/restore/mod.ts";
import { backupDatabase } from "../supabase/functions/backup/usecases/backup/backup_database.ts";
import {
  restoreDatabase,
  type RestoreReport,
  type RestoreRequest,
} from "../supabase/functions/backup/usecases/restore/restore_database.ts";
import { type CommandValues, runCommand, UsageError } from "./cli/command.ts";
import { openCommandRepository, REPOSITORY_OPTIONS, threadAccess } from "./cli/repository.ts";
import { formatBytes, showProgress } from "./cli/show_progress.ts";
import { countObjects, definitionsWithin } from "./host/definitions_memory.ts";
import { loadingThreads, threadLoader } from "./host/thread_loader.ts";
import { MEMORY_OPTION, threadsWithin } from "./host/threads_within.ts";

await runCommand({
  name: "deno task restore",
  summary: "restores a backup: into an empty database, over a live one, or beside it",
  options: {
    "database-url": { type: "string", help: "the target, postgres://…, else SUPABASE_DB_URL" },
    ...REPOSITORY_OPTIONS,
    backup: { type: "string", default: "latest", help: "id of the backup" },
    mode: { type: "string", help: "empty, over or beside; else by what the target holds" },
    schema: { type: "string", multiple: true, help: "only this schema" },
    table: { type: "string", multiple: true, help: "only this table, as schema.table" },
    "only-lost": {
      type: "boolean",
      help: "of the tables only what is lost: rows of those without any, and those that are gone",
    },
    "into-schema": { type: "string", help: "under this new schema, beside the live one" },
    "schema-only": { type: "boolean", help: "definitions without rows" },
    target: { type: "string", help: "supabase, or plain for any PostgreSQL; else by the target" },
    "include-auth-sessions": { type: "boolean", help: "open logins too" },
    "allow-hazard": { type: "string", multiple: true, help: "name of a hazard that is accepted" },
    "skip-safety-backup": { type: "boolean", help: "no way back; accept no-safety-backup too" },
    "safety-repository": {
      type: "string",
      help: "where the safety backup goes, when the target is not the repository's own database",
    },
    "dry-run": { type: "boolean", help: "shows the plan and changes nothing" },
    jobs: {
      type: "string",
      help: "connections that load rows into an empty database (default: one to a processor)",
    },
    ...MEMORY_OPTION,
    "lock-timeout": { type: "string", default: "60", help: "seconds to wait for a table's lock" },
  },
  explain: failureText,
  async run(values, { signal, json }) {
    const url = new Secret(values.text("database-url") ?? Deno.env.get("SUPABASE_DB_URL") ?? "");
    if (url.reveal() === "") throw new UsageError("--database-url is missing");
    const request = restoreRequest(values);
    const asked = values.count("jobs");
    const repository = await openCommandRepository(values);
    const open = () => connect({ url, signal });
    const { lockTimeoutMs } = request;
    values.count("memory"); // what is no number is said before anything is done
    const taken = await memoryTaken(values, { repository, open, request });
    const loading = threadsWithin(values, { kind: "load", asked, taken });
    const jobs = asked ?? loading.jobs;
    const threads = loadingThreads(loading.jobs, threadAccess(values, url));
    const progress = showProgress(json, loading.note);
    const report = await restoreDatabase({
      connect: open,
      repository,
      ...(threads === null ? {} : {
        loader: (role) => threadLoader(threads, { restore: { role, lockTimeoutMs, jobs }, signal }),
      }),
      ...safetyBackup(values, open, signal),
      backupId: values.required("backup"),
      request: { ...request, jobs },
      clock: systemClock,
      writtenBy: RELEASE,
      signal,
      onProgress: progress.listener,
    }).finally(progress.end).finally(() => threads?.close());
    const blocked = report.dryRun && (report.plan.missing.length > 0 ||
      report.plan.hazards.some((hazard) => !hazard.accepted && !hazard.undoneBySafetyBackup));
    return {
      json: report,
      text: report.dryRun ? planText(report) : resultText(report),
      exitCode: blocked ? 3 : 0,
    };
  },
});

/** Megabytes for the definitions of both sides. @throws as `definitionsWithin` */
async function memoryTaken(
  values: CommandValues,
  { repository, open, request }: {
    repository: Repository;
    open: () => Promise<Session>;
    request: RestoreRequest;
  },
): Promise<number> {
  const { manifest } = await repository.readBackup(values.required("backup"));
  const target = await open();
  const there = await countObjects(target).finally(() => target.close());
  const { mode, intoSchema, skipSafetyBackup, dryRun } = request;
  const mayBeSaved = skipSafetyBackup !== true && dryRun !== true && intoSchema === undefined &&
    (mode ?? "over") === "over";
  const saved = mayBeSaved ? there : 0;
  return definitionsWithin(values, { restored: manifest.entries.lines, target: there, saved });
}

/** A repository takes backups of one database only; that of another one goes elsewhere. */
function safetyBackup(values: CommandValues, open: () => Promise<Session>, signal: AbortSignal) {
  const place = values.text("safety-repository");
  if (place === undefined) return {};
  const there: CommandValues = {
    ...values,
    required: (name) => name === "repository" ? place : values.required(name),
  };
  return {
    safetyBackup: async (dump: DumpOptions) =>
      await backupDatabase({
        connect: open,
        repository: await openCommandRepository(there, { create: true }),
        clock: systemClock,
        request: { origin: "safety", reason: "before a restore", dump },
        writtenBy: RELEASE,
        signal,
      }),
  };
}

function restoreRequest(
  values: CommandValues,
): RestoreRequest & { lockTimeoutMs: number } {
  const mode = oneOf(values, "mode", ["empty", "over", "beside"] as const);
  const target = oneOf(values, "target", ["supabase", "plain"] as const);
  const intoSchema = values.text("into-schema");
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(target === undefined ? {} : { target }),
    ...(intoSchema === undefined ? {} : { intoSchema }),
    schemas: values.list("schema"),
    tables: values.list("table"),
    onlyLost: values.flag("only-lost"),
    schemaOnly: values.flag("schema-only"),
    includeAuthSessions: values.flag("include-auth-sessions"),
    acceptHazards: values.list("allow-hazard"),
    skipSafetyBackup: values.flag("skip-safety-backup"),
    dryRun: values.flag("dry-run"),
    lockTimeoutMs: (values.count("lock-timeout") ?? 60) * 1000,
  };
}

function oneOf<T extends string>(values: CommandValues, name: string, allowed: readonly T[]) {
  const value = values.text(name);
  const found = allowed.find((each) => each === value);
  if (value === undefined || found !== undefined) return found;
  throw new UsageError(`--${name} must be ${allowed.join(" or ")}`);
}

function planText({ plan, summary = [] }: RestoreReport): string {
  const shown = (objects: readonly string[]) =>
    objects.slice(0, 10).map((object) => `    ${object}`)
      .concat(objects.length > 10 ? [`    and ${objects.length - 10} more`] : []);
  return [
    ...summary,
    "",
    `plan for ${plan.backupId}, mode ${plan.mode}: ${plan.rows} rows, ${formatBytes(plan.bytes)}`,
    ...plan.steps.flatMap(({ name, objects }) => [
      `  ${name}: ${objects.length}`,
      ...shown(objects),
    ]),
    ...plan.hazards.flatMap((hazard) => {
      const state = hazard.accepted
        ? "accepted"
        : hazard.undoneBySafetyBackup
        ? "the safety backup undoes it"
        : `say --allow-hazard ${hazard.name}`;
      return [`hazard ${hazard.name} (${state})`, ...shown(hazard.objects)];
    }),
    ...plan.missing.map(({ what, name, reason }) => `missing ${what} ${name}: ${reason}`),
    ...leftOutText(plan.leftOut),
  ].join("\n");
}

function resultText(report: RestoreReport): string {
  const { plan, comparison } = report;
  return [
    `${report.backupId} restored, mode ${plan.mode}: ${report.rowsLoaded} rows, ${
      formatBytes(plan.bytes)
    }, ${comparison?.objects ?? 0} objects compared, no difference`,
    ...(report.safetyBackupId === null ? [] : [`  way back: backup ${report.safetyBackupId}`]),
    ...(comparison?.remarks ?? []).map(({ identity, what }) => `  note: ${identity}: ${what}`),
    ...leftOutText(report.leftOut),
    ...Object.entries(report.seconds).map(([phase, seconds]) => `  ${phase}: ${seconds} s`),
  ].join("\n");
}

/** All that a restore into an empty database could not make; the error's message names only some. */
function failureText(error: BackupError): string[] {
  const { failed = [], skipped = [] } = (error.details ?? {}) as {
    failed?: Failure[];
    skipped?: LeftOut[];
  };
  return [
    ...failed.map(({ identity, message }) => `  failed: ${identity}: ${message}`),
    ...skipped.map(({ identity, reason }) => `  not tried: ${identity}: ${reason}`),
  ];
}

function leftOutText(leftOut: RestoreReport["leftOut"]): string[] {
  return leftOut.map(({ identity, reason }) => `  left out: ${identity}: ${reason}`);
}
