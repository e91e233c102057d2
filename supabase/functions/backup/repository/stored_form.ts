/**
 * Whether what was read is of the form that this software writes. Without a key anybody may have written it,
 * and its words become paths, rows of tables and answers: what is of another form counts as damage, and never
 * as an error in the middle of a look at all.
 *
 * @module
 */
import { isPointId } from "../core/ids.ts";
import { JOB_TYPES } from "../core/job.ts";
import { isContentName } from "./paths.ts";
import type { BackupRecord, LinesRef, Manifest, RecoveryPoint } from "./types.ts";

/** A value of JSON whose form is not known. */
type Loose = Record<string, unknown>;

const TYPES: readonly unknown[] = JOB_TYPES;
const ORIGINS: readonly unknown[] = ["manual", "scheduled", "safety"];
const LEVELS: readonly unknown[] = ["one-moment", "inconsistent"];
const POINT_STATUSES: readonly unknown[] = ["completed", "partial", "failed"];
const COMPONENT_STATUSES: readonly unknown[] = [...POINT_STATUSES, "skipped"];

/** Whether it is a backup's record. */
export function isRecord(value: unknown): value is BackupRecord {
  if (!isObject(value) || !isObject(value.totals) || !isObject(value.source)) return false;
  const { type, backupId, createdAt, completedAt, reason, origin, manifest, totals } = value;
  const isHead = isText(backupId) && isMoment(createdAt) && isMoment(completedAt) &&
    isTextOrNull(reason) && ORIGINS.includes(origin) && isName(manifest) && TYPES.includes(type) &&
    isCount(totals.rawBytes) && isCount(totals.newStoredBytes);
  if (!isHead) return false;
  if (type !== "database") return typeof value.partial === "boolean" && areTexts(value.remarks);
  const { consistency } = value;
  return isCount(totals.tables) && isObject(consistency) && isMoment(consistency.snapshotAt) &&
    LEVELS.includes(consistency.level);
}

/** Whether it is a manifest. */
export function isManifest(value: unknown): value is Manifest {
  if (!isObject(value) || !isText(value.backupId) || !TYPES.includes(value.type)) return false;
  if (!isObject(value.source) || !isObject(value.totals)) return false;
  if (value.type === "database") {
    return isLines(value.entries) && isLines(value.tableData) && isLines(value.dataParts);
  }
  return isLines(value.deleted) && Array.isArray(value.pages) && value.pages.every(isPage);
}

/** Whether it is a recovery point. */
export function isPoint(value: unknown): value is RecoveryPoint {
  if (!isObject(value)) return false;
  const { pointId, createdAt, completedAt, reason, createdBy, status, components } = value;
  return isText(pointId) && isPointId(pointId) && isMoment(createdAt) && isMoment(completedAt) &&
    isTextOrNull(reason) && isTextOrNull(createdBy) && POINT_STATUSES.includes(status) &&
    Array.isArray(components) && components.every(isComponent) && areTexts(value.consistency);
}

function isComponent(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { type, status, backupId, from, to, reason } = value;
  return TYPES.includes(type) && COMPONENT_STATUSES.includes(status) && isTextOrNull(backupId) &&
    (from === null || isMoment(from)) && (to === null || isMoment(to)) && isTextOrNull(reason);
}

function isPage(value: unknown): boolean {
  return isObject(value) && isText(value.first) && isText(value.last) && isLines(value.items) &&
    (value.chunks === undefined || Array.isArray(value.chunks) && value.chunks.every(isName));
}

function isLines(value: unknown): value is LinesRef {
  return isObject(value) && isCount(value.lines) && Array.isArray(value.chunks) &&
    value.chunks.every((chunk: unknown) =>
      isObject(chunk) && isName(chunk.name) && isCount(chunk.lines) && isCount(chunk.rawBytes)
    );
}

function isObject(value: unknown): value is Loose {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && isContentName(value);
}

/** No text that the tables can hold has the character NUL. */
function isText(value: unknown): value is string {
  return typeof value === "string" && !value.includes("\0");
}

function isTextOrNull(value: unknown): boolean {
  return value === null || isText(value);
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function isMoment(value: unknown): boolean {
  return typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) &&
    Number.isFinite(Date.parse(value));
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
