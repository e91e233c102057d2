/**
 * A database or a stored backup as lines of text, so that two of them can be compared whole.
 *
 * @module
 */
import type { DataPart, Entry } from "../../supabase/functions/backup/core/model.ts";
import type { DumpOptions } from "../../supabase/functions/backup/dump/mod.ts";
import type { Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { backupInMemory } from "./memory_backup.ts";

/**
 * By schema: every definition, and rows and fingerprint of every table; sorted, without oids. What is
 * in no schema (roles, the database) is left out, because servers are shared.
 */
export type DatabaseState = Record<string, string[]>;

/** The state of a live database. */
export async function databaseState(
  url: string,
  options: Partial<DumpOptions> = {},
): Promise<DatabaseState> {
  const { facts } = await backupInMemory(url, options);
  return stateOf(facts.entries, facts.dataParts);
}

/** The state that a stored backup holds. */
export async function backupState(
  repository: Repository,
  backupId: string,
): Promise<DatabaseState> {
  const { manifest } = await repository.readBackup(backupId);
  return stateOf(
    await Array.fromAsync(repository.readLines<Entry>(manifest.entries)),
    await Array.fromAsync(repository.readLines<DataPart>(manifest.dataParts)),
  );
}

function stateOf(entries: readonly Entry[], parts: readonly DataPart[]): DatabaseState {
  const rows = new Map<string, { rows: number; sum: bigint }>();
  for (const part of parts) {
    const table = rows.get(part.entry) ?? { rows: 0, sum: 0n };
    table.rows += part.rows;
    table.sum += BigInt(part.fingerprint?.sum ?? 0);
    rows.set(part.entry, table);
  }
  const state: DatabaseState = {};
  for (const { key, schema, identity, statements } of entries) {
    if (schema === null) continue;
    const lines = state[schema] ??= [];
    lines.push(`${identity}: ${JSON.stringify(statements)}`);
    const table = rows.get(key);
    if (table !== undefined) lines.push(`${identity}: ${table.rows} rows, sum ${table.sum}`);
  }
  for (const lines of Object.values(state)) lines.sort();
  return state;
}
