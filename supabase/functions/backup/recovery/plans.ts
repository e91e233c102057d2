/**
 * The plans that there are: those that come with the software, and those that users keep. Storage is the truth
 * of what users keep; the tables are its index.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import type { KnownPlan, RecoveryPlan } from "../core/recovery.ts";
import type { Repository } from "../repository/mod.ts";
import type { NewPlanRow, PlanRow } from "../state/recovery_plans.ts";
import type { Deps } from "../usecases/deps.ts";
import { bringSettingsBack } from "../usecases/service/stored_settings.ts";
import { DEFAULT_PLANS } from "./default_plans.ts";
import { refuseOther } from "./record_execution.ts";

/** Folder of all versions of all plans. */
const PLANS = "plans";

/** A version of a plan as storage keeps it. The highest counts. */
export interface PlanDocument {
  format: 1;
  planId: string;
  version: number;
  /** Null for a default plan, whose words come with the software, and for one that was removed. */
  plan: RecoveryPlan | null;
  enabled: boolean;
  removed: boolean;
  changedAt: string;
  changedBy: string;
}

/** All plans, and where what is said of them comes from. */
export interface PlanList {
  plans: KnownPlan[];
  /** `code`: neither tables nor storage can be read, so only the default plans are known. */
  from: "tables" | "storage" | "code";
}

/** Reads all plans that are not removed, the default ones first. */
export async function readPlans(deps: Deps): Promise<PlanList> {
  const rows = await rowsOf(deps);
  if (rows !== null) {
    const custom = rows.filter(({ isDefault, hidden }) => !isDefault && !hidden);
    const plans = [
      ...DEFAULT_PLANS.map((plan) => asDefault(plan, rows.find(({ id }) => id === plan.id))),
      ...custom.filter(({ id }) => !isDefaultPlan(id)).map(({ hidden: _, ...plan }) => plan),
    ];
    return { plans, from: "tables" };
  }
  try {
    const { settings } = await deps.settings();
    const documents = await readPlanDocuments(deps, await deps.openRepository(settings));
    return { plans: plansOf(documents), from: "storage" };
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    deps.reportError(error, "read the recovery plans from storage");
    return { plans: plansOf([]), from: "code" };
  }
}

/** Whether the plan comes with the software. */
export function isDefaultPlan(planId: string): boolean {
  return DEFAULT_PLANS.some(({ id }) => id === planId);
}

/** The newest version of each plan in storage. @throws `storage_*` and the `object_*` codes */
export async function readPlanDocuments(
  deps: Pick<Deps, "reportError">,
  repository: Repository,
): Promise<PlanDocument[]> {
  const newest = new Map<string, string>();
  for await (const name of repository.listDocuments(PLANS)) {
    newest.set(name.split("/")[1]!, name); // in order of version
  }
  const documents: PlanDocument[] = [];
  for (const name of newest.values()) {
    try {
      documents.push(await readDocument(repository, name));
    } catch (error) {
      // A plan that is damaged stands against no other.
      const failure = toBackupError(error);
      if (!failure.code.startsWith("object_")) throw failure;
      deps.reportError(failure, "read the recovery plans");
    }
  }
  return documents;
}

/** The newest version of one plan; null when there was never one. */
export async function readPlanDocument(
  repository: Repository,
  planId: string,
): Promise<PlanDocument | null> {
  let newest: string | null = null;
  for await (const name of repository.listDocuments(`${PLANS}/${planId}`)) newest = name;
  return newest === null ? null : await readDocument(repository, newest);
}

/** Keeps a version. @throws `conflict` when somebody else has kept it at the same time */
export async function writePlanDocument(
  repository: Repository,
  value: PlanDocument,
): Promise<void> {
  const number = String(value.version).padStart(6, "0");
  const name = `${PLANS}/${value.planId}/${number}`;
  const { created } = await repository.writeDocument({ name, value });
  if (created) return;
  throw new BackupError(
    "conflict",
    `Cannot change the plan ${value.planId}: somebody else changed it at the same time`,
    { hint: "Look at it (action=plans) and ask again.", details: { planId: value.planId } },
  );
}

/** Brings plans into the tables; what is removed in storage is removed there. */
export async function putPlans(deps: Deps, documents: readonly PlanDocument[]): Promise<void> {
  const rows: NewPlanRow[] = plansOf(documents).map((plan) => {
    const { version, isDefault, lastTested: _, ...rest } = plan;
    const createdBy = documents.find(({ planId }) => planId === plan.id)?.changedBy ?? null;
    return { plan: rest, version, isDefault, createdBy };
  });
  await deps.state.plans.put(rows);
  for (const { planId, version, removed } of documents) {
    if (removed) await deps.state.plans.remove(planId, version);
  }
}

/** Rows, brought up to date first where the tables are new or gone; null while they cannot be used. */
async function rowsOf(deps: Deps): Promise<PlanRow[] | null> {
  try {
    const rows = await listRows(deps);
    if (rows.filter(({ isDefault }) => isDefault).length >= DEFAULT_PLANS.length) return rows;
    await bringPlans(deps);
    return await deps.state.plans.list();
  } catch (error) {
    refuseOther(deps, error);
    return null;
  }
}

/** A database that was emptied has lost the service's own tables with the rest: they are made again. */
async function listRows(deps: Deps): Promise<PlanRow[]> {
  try {
    return await deps.state.plans.list();
  } catch (error) {
    if (toBackupError(error).code !== "not_found") throw error;
    await deps.state.migrate();
    const rows = await deps.state.plans.list();
    await unlessOutOfReach(deps, () => bringSettingsBack(deps)); // or a cleanup would go by defaults
    return rows;
  }
}

/** Brings what storage and the software have into the tables. @returns ids of the plans of users */
export async function bringPlans(deps: Deps): Promise<string[]> {
  const { settings } = await deps.settings();
  const documents = await unlessOutOfReach(
    deps,
    async () => await readPlanDocuments(deps, await deps.openRepository(settings)),
  );
  await putPlans(deps, documents ?? []);
  return (documents ?? []).filter(({ plan }) => plan !== null).map(({ planId }) => planId);
}

async function unlessOutOfReach<T>(deps: Deps, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    deps.reportError(error, "read from storage what the tables have lost");
    return null;
  }
}

function plansOf(documents: readonly PlanDocument[]): KnownPlan[] {
  const of = new Map(documents.map((document) => [document.planId, document]));
  return [
    ...DEFAULT_PLANS.map((plan) => asDefault(plan, { lastTested: null, ...of.get(plan.id) })),
    ...documents.flatMap(({ planId, plan, enabled, removed, version }) =>
      plan === null || removed || isDefaultPlan(planId)
        ? []
        : [{ ...plan, enabled, version, lastTested: null, isDefault: false }]
    ),
  ];
}

/** The software's words, with what was changed of the plan. */
function asDefault(
  plan: RecoveryPlan,
  kept: Partial<Pick<KnownPlan, "enabled" | "version" | "lastTested">> | undefined,
): KnownPlan {
  const { enabled = plan.enabled, version = 0, lastTested = null } = kept ?? {};
  return { ...plan, enabled, version, lastTested, isDefault: true };
}

async function readDocument(repository: Repository, name: string): Promise<PlanDocument> {
  const document = await repository.readDocument(name) as PlanDocument;
  if (document.format === 1) return document;
  throw new BackupError("repository_format", `Cannot read the plan ${name}: unknown format`, {
    hint: "Use a newer release of this software.",
  });
}
