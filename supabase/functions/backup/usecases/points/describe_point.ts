/**
 * What a recovery point's parts come to together: whether it is whole, and what of it shows one moment.
 *
 * @module
 */
import type { PointComponent, RecoveryPoint } from "../../repository/mod.ts";

/** State and consistency of a point, from its components. */
export function describePoint(
  components: readonly PointComponent[],
): Pick<RecoveryPoint, "status" | "consistency"> {
  return { status: statusOf(components), consistency: consistencyOf(components) };
}

function statusOf(components: readonly PointComponent[]): RecoveryPoint["status"] {
  const tried = components.filter(({ status }) => status !== "skipped");
  if (tried.every(({ status }) => status === "failed")) return "failed";
  return tried.every(({ status }) => status === "completed") ? "completed" : "partial";
}

function consistencyOf(components: readonly PointComponent[]): string[] {
  const found = new Map(
    components.filter(({ backupId }) => backupId !== null).map((each) => [each.type, each]),
  );
  const lines: string[] = [];
  const database = found.get("database");
  const files = found.get("files");
  if (database !== undefined) {
    lines.push(
      `The database, with roles, rows of storage and auth, is of one moment: ${database.from}.`,
    );
  }
  if (files !== undefined) {
    lines.push(`Files were read one after the other from ${files.from} to ${files.to}.`);
  }
  if (database !== undefined && files !== undefined) {
    lines.push(
      "Objects that were written, replaced or deleted between these times are not of the " +
        "database's moment; a restore names rows without an object and objects without a row.",
    );
  }
  for (const type of ["function", "config", "secrets"] as const) {
    const each = found.get(type);
    if (each !== undefined) {
      lines.push(`${NAMES[type]} read from ${each.from} to ${each.to}, each by itself.`);
    }
  }
  for (const { type, status, reason } of components) {
    if (status === "skipped" || status === "failed") {
      lines.push(`Not in this point: ${type} (${reason ?? status}).`);
    }
    if (status === "partial") lines.push(`Not whole: ${type} (${reason ?? "see its job"}).`);
  }
  return lines;
}

const NAMES = {
  function: "Edge Functions were",
  config: "Settings were",
  secrets: "Names and digests of secrets were",
} as const;
