/**
 * Statistics for the planner, without which a restored database answers slowly until the server finds the
 * time to take them itself.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Session } from "../postgres/session.ts";
import { bytesOf } from "./plan_loads.ts";
import type { LeftOut, RestorePlan } from "./plan_types.ts";

/** Something to analyze. Survives JSON. */
export interface AnalyzedRelation {
  sqlName: string;
  bytes: number;
}

/** What is analyzed by one statement at most, so that sessions share the work. */
const BATCH_TABLES = 50;
const BATCH_BYTES = 16 << 20;

/**
 * Takes the statistics of all that was loaded; tables of others are passed over by the server. The rows
 * are committed: what goes wrong here is told in the report and does not make the restore a failed one.
 */
export async function analyze(session: Session, plan: RestorePlan): Promise<LeftOut[]> {
  return plan.beside === null ? await analyzeRelations(session, analyzedRelations(plan)) : [];
}

/** Takes the statistics of some of it, as {@linkcode analyze}. */
export async function analyzeRelations(
  session: Session,
  relations: readonly AnalyzedRelation[],
): Promise<LeftOut[]> {
  return await orLeftOut(async () => {
    for (const names of batchesOf(await existing(session, relations))) await run(session, names);
  });
}

/** What there is to analyze, in batches for several sessions, the largest tables first. */
export async function analyzedNames(session: Session, plan: RestorePlan): Promise<string[][]> {
  return plan.beside === null ? batchesOf(await existing(session, analyzedRelations(plan))) : [];
}

/** Takes the statistics of one batch; failures as in {@linkcode analyze}. */
export async function analyzeNames(
  session: Session,
  names: readonly string[],
): Promise<LeftOut[]> {
  return await orLeftOut(() => run(session, names));
}

async function run(session: Session, names: readonly string[]): Promise<void> {
  await session.execute(`ANALYZE ${names.join(", ")}`);
}

async function orLeftOut(work: () => Promise<void>): Promise<LeftOut[]> {
  try {
    await work();
    return [];
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    return [withoutStatistics(error.message)];
  }
}

/** How the report tells of statistics that were not taken. */
export function withoutStatistics(reason: string): LeftOut {
  return { identity: "statistics for the planner", reason: `${reason}; run ANALYZE` };
}

/** All that a plan fills, the largest tables first. */
export function analyzedRelations(
  { load, refresh }: Pick<RestorePlan, "load" | "refresh">,
): AnalyzedRelation[] {
  return [
    ...load.flatMap((each) => {
      const sqlName = each.entry.table?.sqlName;
      return sqlName === undefined ? [] : [{ sqlName, bytes: bytesOf(each) }];
    }),
    ...refresh.map(({ identity }) => ({
      sqlName: identity.replace(/^refresh REFRESH MATERIALIZED VIEW /, ""),
      bytes: 0,
    })),
  ];
}

function batchesOf(relations: readonly AnalyzedRelation[]): string[][] {
  const batches: string[][] = [];
  let filled = Infinity;
  for (const { sqlName, bytes } of relations) {
    const open = batches.at(-1);
    if (open !== undefined && filled + bytes <= BATCH_BYTES && open.length < BATCH_TABLES) {
      open.push(sqlName);
      filled += bytes;
    } else {
      batches.push([sqlName]);
      filled = bytes;
    }
  }
  return batches;
}

/** Those that are there: into an empty database some may have failed. */
async function existing(
  session: Session,
  relations: readonly AnalyzedRelation[],
): Promise<AnalyzedRelation[]> {
  const list = relations.map(({ sqlName }) => `"${sqlName.replace(/[\\"]/g, "\\$&")}"`).join(",");
  const rows = await session.query<{ place: string }>(
    `select n.place from pg_catalog.unnest($1::text[]) with ordinality n (name, place)
      where pg_catalog.to_regclass(n.name) is not null order by n.place`,
    [`{${list}}`],
  );
  return rows.map(({ place }) => relations[Number(place) - 1]!);
}
