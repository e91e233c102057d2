/**
 * A plan in a few sentences, for somebody in a hurry: what becomes of what is there, what comes, what stands
 * against it, and what does not come back. All else is in the details.
 *
 * @module
 */
import { countWords, sizeWords } from "../core/size_words.ts";
import { bytesOf } from "./plan_loads.ts";
import { type Hazard, HAZARDS, type LeftOut, type RestorePlan } from "./plan_types.ts";

/** Reasons for leaving something out that are told; the others are in the details. */
const MOST_REASONS = 3;

/** See the module; the most important sentence first. */
export function describePlan(plan: RestorePlan): string[] {
  const waiting = plan.hazards.filter((hazard) => needsWord(hazard));
  return [
    headline(plan),
    ...objectsLine(plan),
    ...wayBackLine(plan),
    ...missingLine(plan),
    ...waiting.map(hazardLine),
    ...leftOutLines(plan.leftOut),
    ...(plan.missing.length === 0 && waiting.length === 0
      ? ["Nothing stands against it."]
      : ["As it stands it would be refused, and nothing changed."]),
  ];
}

function headline(
  { mode, backupId, load, clearOnly, beside, lock, onlyLost }: RestorePlan,
): string {
  const rows = load.reduce(
    (sum, { parts }) => sum + parts.reduce((inner, part) => inner + part.rows, 0),
    0,
  );
  const size = sizeWords(load.reduce((sum, each) => sum + bytesOf(each), 0));
  const what = `${countWords(rows, "row")} (${size}) of ${countWords(load.length, "table")}`;
  if (mode === "beside") {
    return `Restores ${what} from ${backupId} as schema ${beside?.intoSchema}; nothing that is there is changed.`;
  }
  if (mode === "empty") return `Restores ${what} from ${backupId} into an empty database.`;
  const replaced = load.filter(({ clear }) => clear !== "none").length;
  const emptied = clearOnly.length === 0
    ? ""
    : `; ${countWords(clearOnly.length, "table")} emptied`;
  const lost = replaced === 0 || onlyLost !== undefined
    ? "no rows that are there are replaced"
    : `in ${countWords(replaced, "table")} all that was written since then is lost`;
  const locked = lock.length === 0
    ? ""
    : ` ${countWords(lock.length, "table")} cannot be written to until it is done.`;
  return `Restores ${what} from ${backupId} over the database: ${lost}${emptied}.${locked}`;
}

function objectsLine({ mode, drop, create, adjust }: RestorePlan): string[] {
  if (mode !== "over") return [];
  const changed = drop.length + create.length + adjust.length;
  if (changed === 0) return ["Definitions are as in the backup and stay."];
  return [
    `Definitions: ${drop.length.toLocaleString("en-US")} dropped, ` +
    `${create.length.toLocaleString("en-US")} made, ` +
    `${adjust.length.toLocaleString("en-US")} changed in place.`,
  ];
}

function wayBackLine({ mode, hazards, filling }: RestorePlan): string[] {
  if (mode !== "over") return [];
  if (filling !== null) {
    return [
      "It is done in parts: only what is missing is made, and only empty tables are filled. No safety " +
      "backup is needed for that, and none is made.",
    ];
  }
  const isLost = hazards.some(({ name }) => name === "no-safety-backup");
  return [
    isLost
      ? "There is no way back: no safety backup is made."
      : "A safety backup is made first; restoring that one is the way back.",
  ];
}

function missingLine({ missing }: RestorePlan): string[] {
  const [first] = missing;
  if (first === undefined) return [];
  return [
    `The target lacks ${countWords(missing.length, "thing")} that it needs, such as ` +
    `${first.what} ${first.name}: ${first.reason}.`,
  ];
}

function needsWord({ accepted, undoneBySafetyBackup }: Hazard): boolean {
  return !accepted && !undoneBySafetyBackup;
}

function hazardLine({ name, objects }: Hazard): string {
  const which = objects.length === 0
    ? ""
    : ` (${objects[0]}${objects.length === 1 ? "" : ` and ${objects.length - 1} more`})`;
  return `Begins only when hazard ${name} is accepted: ${HAZARDS[name]}${which}.`;
}

/** By reason, the most frequent first. */
function leftOutLines(leftOut: readonly LeftOut[]): string[] {
  const reasons = Object.entries(Object.groupBy(leftOut, ({ reason }) => reason))
    .sort(([, a = []], [, b = []]) => b.length - a.length);
  const lines = reasons.slice(0, MOST_REASONS).map(([reason, all = []]) => {
    const more = all.length === 1 ? "" : ` and ${all.length - 1} more`;
    return `Not restored: ${all[0]!.identity}${more}: ${reason}.`;
  });
  const rest = reasons.slice(MOST_REASONS).reduce((sum, [, all = []]) => sum + all.length, 0);
  return rest === 0 ? lines : [...lines, `Not restored: ${rest} more, see leftOut.`];
}
