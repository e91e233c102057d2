/**
 * Exports and imports inside of one process, for tests.
 *
 * @module
 */
import { concat } from "../../supabase/functions/backup/core/bytes.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import {
  exportDatabase,
  type ExportFrom,
  type ExportReport,
  type ExportRequest,
} from "../../supabase/functions/backup/usecases/export/export_database.ts";
import {
  importDatabase,
  type ImportReport,
  type ImportRequest,
} from "../../supabase/functions/backup/usecases/export/import_database.ts";
import { DUMP_OPTIONS } from "./memory_backup.ts";

/** A backup of a database, as the source of exports. */
export async function backupOf(url: string): Promise<ExportFrom> {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  await backupDatabase({
    connect: () => connect({ url }),
    repository,
    clock: systemClock,
    request: { origin: "manual", dump: DUMP_OPTIONS },
    writtenBy: "test",
  });
  return { repository, backup: "latest" };
}

/** An export as the bytes of one file. */
export async function exportBytes(
  from: ExportFrom | string,
  request: ExportRequest,
): Promise<{ bytes: Uint8Array; report: ExportReport }> {
  const slices: Uint8Array[] = [];
  const write = (bytes: Uint8Array) => Promise.resolve(void slices.push(bytes.slice()));
  const source = typeof from === "string" ? { connect: () => connect({ url: from }) } : from;
  const report = await exportDatabase(source, request, { target: { write } });
  return { bytes: concat(slices), report };
}

/** Imports the bytes of one file, in slices as a disk would give them. */
export async function importBytes(
  url: string,
  bytes: Uint8Array,
  request: ImportRequest & { sliceBytes?: number } = {},
): Promise<ImportReport> {
  const { sliceBytes = 1 << 16, ...rest } = request;
  const open = async function* () {
    for (let at = 0; at < bytes.length; at += sliceBytes) {
      yield await Promise.resolve(bytes.subarray(at, at + sliceBytes));
    }
  };
  const files = [{ name: "the file", open }];
  return await importDatabase({ connect: () => connect({ url }), files, request: rest });
}

/** What COPY gives of each table, as text and in order. */
export async function contentOf(
  url: string,
  tables: readonly string[],
): Promise<Record<string, string>> {
  const session = await connect({ url });
  const content: Record<string, string> = {};
  try {
    await pinSettings(session);
    for (const table of tables) {
      const slices: Uint8Array[] = [];
      await session.copyOut(`COPY (SELECT * FROM ${table} ORDER BY 1) TO STDOUT`, (slice) => {
        slices.push(slice.slice());
      });
      // By bytes: not all of them need be text.
      content[table] = Array.from(concat(slices), (byte) => String.fromCharCode(byte)).join("");
    }
  } finally {
    await session.close();
  }
  return content;
}

/** Runs statements. */
export async function run(url: string, ...statements: string[]): Promise<void> {
  const session = await connect({ url });
  try {
    for (const statement of statements) await session.execute(statement);
  } finally {
    await session.close();
  }
}
