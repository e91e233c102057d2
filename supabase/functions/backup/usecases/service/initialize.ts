/**
 * Creates or checks everything the service needs; safe to repeat, also by two callers at once. The answer
 * is the way from "deployed" to "recoverable", in order.
 *
 * @module
 */
import { toBase64 } from "../../core/bytes.ts";
import { BackupError, outwardMessage, toBackupError } from "../../core/errors.ts";
import { RELEASE } from "../../core/release.ts";
import { requestLine } from "../../core/request_line.ts";
import type { Settings, SettingsPatch } from "../../core/settings.ts";
import type { SettingsProblem } from "../../core/settings_in_force.ts";
import type { Repository } from "../../repository/mod.ts";
import type { Caller, Deps } from "../deps.ts";
import { readNotifications } from "../people/read_notifications.ts";
import { recordAudit } from "../jobs/record_audit.ts";
import {
  checkKeyCopy,
  checkNothingLost,
  confirmKey,
  findFirstBackup,
  type Finding,
  findKeySaved,
  findRestoreTest,
} from "./recoverability.ts";
import { dropScratchDatabases } from "../restore/scratch_database.ts";
import { type NewestBackups, readNewest } from "./newest_backups.ts";
import { syncBackups } from "./stored_backups.ts";
import { inWords } from "./unreadable_records.ts";
import { syncPoints } from "../points/stored_points.ts";
import { bringSettingsBack, keepCurrentSettings } from "./stored_settings.ts";
import { keepRecoverySheet } from "./recovery_sheet.ts";
import { requireOwner, takeOverRepository } from "./take_over_repository.ts";
import { updateConfig } from "./update_config.ts";

/** Records of executions are kept so long. */
const EXECUTION_DAYS = 180;

/** The items of the way, in order. */
export const INIT_STEPS = [
  "deployed",
  "tables",
  "scratch-databases",
  "settings",
  "storage",
  "repository",
  "key-saved",
  "list-of-backups",
  "nothing-lost",
  "recovery-plans",
  "schedule",
  "first-backup",
  "first-restore-test",
  "channels",
] as const;

/** Steps without which a project is recoverable all the same. */
const NOT_NEEDED: readonly InitStep["step"][] = ["schedule", "channels"];

/** One item of the way from deployed to recoverable. */
export interface InitStep extends Finding {
  step: typeof INIT_STEPS[number];
}

/** What `init` found and did. */
export interface InitReport {
  /** True when every step is done; only the schedule and the channels may lack. */
  recoverable: boolean;
  steps: InitStep[];
  /** A random key to keep, proposed once while none is set, and stored nowhere. */
  proposedEncryptionKey: string | null;
}

/** What a caller may ask for besides. */
export interface InitRequest {
  config?: SettingsPatch;
  /** Fingerprint of the copy of the key that is kept outside. */
  confirmKeyFingerprint?: string;
  /** Backups that are lost and not expected any more. */
  giveUpBackups?: string[];
  /** Present owner of the repository, which this database becomes instead. */
  takeOverRepository?: string;
}

/**
 * @throws `invalid_config` when `config` is wrong, `key_wrong` when the fingerprint is, `invalid_request` when
 * the repository's owner is another one than was said; everything else is a step that is not done
 */
export async function initialize(
  deps: Deps,
  caller: Caller,
  request: InitRequest,
): Promise<InitReport> {
  const way = new Way(deps);
  await way.step("deployed", () => Promise.resolve(done(RELEASE)));
  await way.step("tables", async () => {
    const { applied, present } = await deps.state.migrate();
    return done(
      applied.length > 0 ? `made: ${applied.join(", ")}` : `there: ${present.join(", ")}`,
    );
  });
  await way.step("scratch-databases", async () => {
    const dropped = await dropScratchDatabases(deps);
    return done(dropped.length > 0 ? `dropped ${dropped.join(", ")}` : "none left behind");
  });
  const broughtBack = await bringBack(deps, way);
  const { config = {}, confirmKeyFingerprint: fingerprint, takeOverRepository: from } = request;
  const hasChanges = Object.keys(config).length > 0;
  if (fingerprint !== undefined || from !== undefined) {
    // A wrong one refuses the whole request, so it is found before the settings are changed.
    const { settings } = hasChanges
      ? await updateConfig(deps, caller, { updates: config, dryRun: true })
      : await deps.settings();
    if (fingerprint !== undefined) await checkKeyCopy(deps, settings, fingerprint);
    if (from !== undefined) await requireOwner(await deps.openRepository(settings), from);
  }
  if (hasChanges) await updateConfig(deps, caller, { updates: config, dryRun: false });
  let { settings, fromTables, problems } = await deps.settings();
  await way.step(
    "settings",
    () => Promise.resolve(findSettings({ fromTables, problems, broughtBack })),
  );
  const location = await findStorage(deps, way, settings);
  const { repository, proposed } = await findRepository(deps, way, settings);
  if (repository !== null) {
    await keepInStorage(deps, way, repository);
    await keepSheet(deps, way, settings);
  }
  if (from !== undefined) {
    await takeOverRepository(deps, caller, {
      ...{ from, repository: repository ?? await deps.openRepository(settings) },
    });
  }
  if (fingerprint !== undefined) {
    await confirmKey(deps, caller, repository ?? await deps.openRepository(settings));
    ({ settings, fromTables } = await deps.settings());
  }
  await way.step("key-saved", () => Promise.resolve(findKeySaved(settings, known(repository))));
  await findBackups(deps, way, { location, repository, giveUp: request.giveUpBackups ?? [] });
  await way.step("channels", () => findChannels(deps, settings));
  await recordWay(deps, caller, { way, proposed });
  return {
    recoverable: way.steps.every((one) => one.done || NOT_NEEDED.includes(one.step)),
    steps: way.steps,
    proposedEncryptionKey: proposed,
  };
}

async function recordWay(
  deps: Deps,
  caller: Caller,
  { way, proposed }: { way: Way; proposed: string | null },
): Promise<void> {
  await recordAudit(deps, caller, {
    action: "init",
    subject: null,
    outcome: "completed",
    details: {
      done: way.steps.filter((one) => one.done).map((one) => one.step),
      ...(proposed === null ? {} : { proposedKey: true }),
    },
  });
}

/** Before anything changes: a change would be the first version, and nothing brought back over it. */
async function bringBack(deps: Deps, way: Way): Promise<string | null> {
  if (way.steps.some(({ step, done }) => step === "tables" && !done)) return null;
  try {
    return await bringSettingsBack(deps);
  } catch (thrown) {
    const error = toBackupError(thrown);
    deps.reportError(error, "bring the settings back from storage");
    return `not brought back from storage (${error.code})`;
  }
}

/** A storage that lacks the settings' version is told of by the settings' step. */
async function keepInStorage(deps: Deps, way: Way, repository: Repository): Promise<void> {
  if (way.steps.some(({ step, done }) => step === "tables" && !done)) return;
  try {
    await keepCurrentSettings(deps, repository);
  } catch (thrown) {
    const error = toBackupError(thrown);
    deps.reportError(error, "keep the settings in storage");
    way.add("settings", `not kept in storage (${error.code})`);
  }
}

/** Without it everything works, until somebody has nothing but the storage and the key. */
async function keepSheet(deps: Deps, way: Way, settings: Settings): Promise<void> {
  try {
    const name = await keepRecoverySheet(await deps.openStorage(settings), settings);
    way.add("repository", `how to restore without the service is in ${name}`);
  } catch (thrown) {
    const error = toBackupError(thrown);
    deps.reportError(error, "keep the recovery sheet in storage");
    way.add("repository", `no recovery sheet was kept (${error.code})`);
  }
}

function findSettings(
  { fromTables, problems, broughtBack }: {
    fromTables: boolean;
    problems: SettingsProblem[];
    broughtBack: string | null;
  },
): Finding {
  if (problems.length === 0) {
    const valid = fromTables ? "valid" : "valid; from the environment only";
    return done(broughtBack === null ? valid : `${valid}; ${broughtBack}`);
  }
  const keys = [...new Set(problems.map(({ path }) => path.split(".")[0]))];
  return {
    done: false,
    found: `rows that are wrong are not followed: ${
      problems.map(({ path, message }) => `${path}: ${message}`).join("; ")
    }`,
    next: `Correct them with updates, or: ${requestLine("update-config", { unset: keys })}`,
  };
}

/** Nobody has to be told; but who is named should be reached. */
async function findChannels(deps: Deps, settings: Settings): Promise<Finding> {
  const { ok, found } = await readNotifications(deps, settings);
  if (ok && settings.enableBackupNotifications && settings.notificationChannels.length === 0) {
    const next = "supabase secrets set BACKUP_NOTIFICATION_CHANNELS=slack " +
      "BACKUP_SLACK_WEBHOOK_URL=https://hooks.slack.com/services/…";
    return { done: false, found, next };
  }
  return { done: ok, found, next: ok ? null : "docs/notifications.md lists what a channel needs" };
}

async function findStorage(deps: Deps, way: Way, settings: Settings): Promise<string | null> {
  let location: string | null = null;
  await way.step("storage", async () => {
    const storage = await deps.openStorage(settings);
    await storage.head("repository.json");
    location = storage.location;
    return done(storage.location);
  }, "supabase secrets set BACKUP_STORAGE_TYPE=s3 BACKUP_STORAGE_BUCKET=…");
  return location;
}

/** Opens or makes the repository. A key is proposed only where none is in use. */
async function findRepository(
  deps: Deps,
  way: Way,
  settings: Settings,
): Promise<{ repository: Repository | null; proposed: string | null }> {
  let repository: Repository | null = null;
  let proposed: string | null = null;
  await way.step("repository", async () => {
    try {
      repository = await deps.openRepository(settings, { create: true });
      return done("opened with the key that is set");
    } catch (thrown) {
      const error = toBackupError(thrown);
      if (error.code !== "key_missing" && error.code !== "key_weak") throw error;
      const advice = await adviseKey(deps, settings);
      proposed = advice.proposed;
      return { done: false, found: `${error.code}: ${error.message}`, next: advice.next };
    }
  });
  return { repository, proposed };
}

async function adviseKey(
  deps: Deps,
  settings: Settings,
): Promise<{ proposed: string | null; next: string }> {
  const set = "supabase secrets set BACKUP_ENCRYPTION_KEY=<the key>";
  if (await hasRepository(deps, settings)) {
    return { proposed: null, next: `Set the key that the repository was made with: ${set}` };
  }
  if (await wasProposed(deps)) {
    return {
      proposed: null,
      next: "A key was proposed before and is not set. Set it, or make another one: " +
        `openssl rand -base64 32, keep it outside this project, then: ${set}`,
    };
  }
  return {
    proposed: toBase64(crypto.getRandomValues(new Uint8Array(32))),
    next: `Save proposedEncryptionKey outside this project, it is shown only now, then: ${set}`,
  };
}

async function hasRepository(deps: Deps, settings: Settings): Promise<boolean> {
  try {
    return await (await deps.openStorage(settings)).head("repository.json") !== null;
  } catch (error) {
    if (error instanceof BackupError) return false; // the step of the storage says what is wrong
    throw error;
  }
}

async function wasProposed(deps: Deps): Promise<boolean> {
  try {
    return await deps.state.audit.hasProposedKey();
  } catch (error) {
    if (error instanceof BackupError) return false; // the step of the tables says what is wrong
    throw error;
  }
}

async function findBackups(
  deps: Deps,
  way: Way,
  { location, repository, giveUp }: {
    location: string | null;
    repository: Repository | null;
    giveUp: readonly string[];
  },
): Promise<void> {
  let stored: NewestBackups | null = null;
  await way.step("list-of-backups", async () => {
    const backups = await syncBackups(deps, known(repository));
    const points = await syncPoints(deps, known(repository));
    stored = await readNewest(known(repository));
    const givenUp = giveUp.length === 0 ? [] : await deps.state.backups.giveUp(giveUp);
    const words = givenUp.length === 0 ? "" : `; given up: ${givenUp.join(", ")}`;
    const counted = `${backups.added.length + points.added.length} added from storage${words}`;
    const left = backups.left + points.left;
    const unreadable = [...backups.unreadable, ...points.unreadable];
    const added = unreadable.length === 0 ? counted : `${counted}; ${inWords(unreadable)}`;
    return left === 0 ? done(added) : {
      done: false,
      found: `${added}; ${left} older ones are still to be added, some hundred at a time`,
      next: `Wait, the clock goes on every half hour; or go on now: ${requestLine("init")}`,
    };
  });
  await way.step(
    "nothing-lost",
    () => checkNothingLost(deps, { location: known(location), stored: known(stored) }),
  );
  await way.step("recovery-plans", async () => {
    const { plans, executions } = await deps.recovery.sync({ days: EXECUTION_DAYS });
    const added = executions.length === 0 ? "" : `; ${executions.length} executions added`;
    return done(`${plans.length} of your own, and those of the software${added}`);
  });
  await way.step("schedule", async () => {
    const { installed, found, next } = await deps.schedule.install();
    return { done: installed, found, next };
  });
  await way.step("first-backup", () => Promise.resolve(findFirstBackup(known(stored))));
  await way.step("first-restore-test", () => findRestoreTest(deps, known(location)));
}

/** The steps so far. */
class Way {
  readonly steps: InitStep[] = [];
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Takes a step; an error is a step that is not done. */
  async step(name: InitStep["step"], work: () => Promise<Finding>, next?: string): Promise<void> {
    try {
      this.steps.push({ step: name, ...await work() });
    } catch (thrown) {
      const error = toBackupError(thrown);
      if (error.code === "internal") this.#deps.reportError(error, `init: ${name}`);
      const found = `${error.code}: ${outwardMessage(error)}`;
      this.steps.push({ step: name, done: false, found, next: error.hint ?? next ?? null });
    }
  }

  /** Adds to what a step has found. */
  add(name: InitStep["step"], words: string): void {
    const step = this.steps.find((one) => one.step === name);
    if (step !== undefined) step.found += `; ${words}`;
  }
}

function done(found: string): Finding {
  return { done: true, found, next: null };
}

/** What an earlier step should have found. */
function known<T>(value: T | null): T {
  if (value !== null) return value;
  throw new BackupError("invalid_config", "Cannot look: a step before this one is not done");
}
