/**
 * What a plan must know of the objects of a backup and of its target, and no more: of tens of thousands of
 * tables the statements alone would fill a worker. Pure.
 *
 * @module
 */
import type { DataPart, Entry, EntryKind, TableData } from "../core/model.ts";
import { digestOf } from "./digest.ts";
import { lackedTablespaces } from "./fit_backup.ts";
import type { BackupFacts, RestorePlan, RestoreRequest, TargetFacts } from "./plan_types.ts";

/** Kinds that are many, and of whose statements a plan only asks whether both sides have the same. */
const SLIM: readonly EntryKind[] = [
  "check-constraint",
  "constraint",
  "default",
  "foreign-key",
  "index",
  "index-attach",
  "materialized-view",
  "row-security",
  "rule",
  "sequence",
  "sequence-set",
  "statistics",
  "table",
  "table-attach",
  "table-data",
  "view",
];

/** Statements that name what the target may lack, and those of sequences that count down. */
const ASKED_FOR = /COLLATE|TABLESPACE|INCREMENT BY -/;

/** Stands for the statement that gives an object to its owner. Nobody executes it. */
const OWNED: readonly string[] = Object.freeze(["to its owner"]);
const NONE: readonly string[] = Object.freeze([]);

/** Statements of which nothing is left. Many entries share each list, so nobody may change one. */
export const SLIM_STATEMENTS = {
  owned: slimStatements({ isOwned: true }),
  ownerless: slimStatements({ isOwned: false }),
};

/** Statements of which a digest is left, and those that are asked for. */
export function slimStatements(
  { isOwned, create = NONE, label = NONE, acl = NONE }: {
    isOwned: boolean;
    create?: readonly string[];
    label?: readonly string[];
    acl?: readonly string[];
  },
): Entry["statements"] {
  const lists = { create, drop: NONE, owner: isOwned ? OWNED : NONE, comment: NONE, label, acl };
  return lists as Entry["statements"];
}

/**
 * Whether {@linkcode slimEntry} leaves statements out. The platform's objects stand in a new project too. A
 * check that its table does not know by itself may have to be set aside, by its statements.
 */
export function isSlim({ kind, managed, extension, section }: Entry, { tables }: RestoreRequest) {
  if (!SLIM.includes(kind) || managed === true || extension !== undefined) return false;
  if (kind === "check-constraint") return section === "pre-data";
  // Which table a sequence belongs to is told by its statements.
  return kind !== "sequence" || (tables ?? []).length === 0;
}

/** The digest of the statements of an entry that its plan looks at, rights aside. */
export function digestOfEntry({ statements }: Entry): string {
  const { create, drop, owner, comment } = statements;
  const lists = [create, drop, owner, comment].flatMap((list) => [String(list.length), ...list]);
  return digestText(digestOf(lists));
}

/** Where the characters of a digest begin. */
const ZERO = 0x30;
/** Bits of a digest to a character, from the highest: digits of it take ten times as long. */
const SHIFTS = [30, 24, 18, 12, 6, 0];

/** A digest in place of statements. */
export function digestText([one, other]: readonly [number, number]): string {
  return digits(one) + digits(other);
}

function digits(number: number): string {
  return String.fromCharCode(
    ZERO + (number >>> 30),
    ZERO + (number >>> 24 & 63),
    ZERO + (number >>> 18 & 63),
    ZERO + (number >>> 12 & 63),
    ZERO + (number >>> 6 & 63),
    ZERO + (number & 63),
  );
}

/** The numbers again. */
export function digestNumbers(text: string): [number, number] {
  const number = (from: number) =>
    SHIFTS.reduce((sum, shift, at) => sum | (text.charCodeAt(from + at) - ZERO) << shift, 0) >>> 0;
  return [number(0), number(SHIFTS.length)];
}

/** An entry without most of what only making the object needs: the first to create it is a digest of all. */
export function slimEntry(entry: Entry, request: RestoreRequest): Entry {
  if (!isSlim(entry, request)) return entry;
  const { create, owner, label, acl } = entry.statements;
  const asked = create.filter((sql) => ASKED_FOR.test(sql));
  const statements = slimStatements({
    ...{ isOwned: owner.length > 0, label, acl },
    create: [digestOfEntry(entry), ...asked],
  });
  const slim = { ...entry, statements };
  if (entry.table === undefined) return slim;
  // What is lost of a table goes back into it only if the columns are alike.
  const columns = request.onlyLost === true ? entry.table.columns : [];
  return { ...slim, table: { ...entry.table, columns, referencedTables: [] } };
}

/** Table data without what only loading and comparing need. */
export function slimTableData(data: TableData): TableData {
  const { columnForms: _, ...slim } = data;
  return { ...slim, columns: [], columnTypes: [], fingerprintExpression: null };
}

/** A stored part without where it is stored. */
export function slimDataPart(part: DataPart): DataPart {
  return { ...part, pieces: [], fingerprint: null };
}

/** Whether a request can be planned from slim entries, as far as it tells: a copy needs the statements. */
export function mayPlanSlim(request: RestoreRequest): boolean {
  return request.intoSchema === undefined && request.mode !== "beside";
}

/** Whether nothing would be taken out of statements for this target. */
export function fitsAsItIs({ entries }: Pick<BackupFacts, "entries">, target: TargetFacts) {
  return target.lackedProviders.length === 0 && lackedTablespaces(entries, target).length === 0;
}

/**
 * Whether a plan from slim entries is the plan: it neither replaces nor changes what stands, so it has no use
 * for the statements that were left out. What stands otherwise than in the backup is in the way of a filling,
 * but for rights in what a restore that was broken off has left.
 */
export function isPlanOfSlim({ mode, filling, adjust }: RestorePlan): boolean {
  const adjustsSlim = adjust.some(({ identity }) =>
    SLIM.some((kind) => identity.startsWith(`${kind} `))
  );
  if (adjustsSlim) return false;
  return mode === "empty" || filling !== null && filling.inTheWay.length === 0;
}

/** Whether the target has an object that the backup knows, and of which slim entries do not say everything. */
export function hasSlim({ entries }: Pick<TargetFacts, "entries">, request: RestoreRequest) {
  return entries.some((entry) => isSlim(entry, request));
}
