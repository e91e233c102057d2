/**
 * Compares what a backup keeps of the database's settings with a target, and brings rows of settings
 * tables back. Everything else of the kind comes back with the database.
 *
 * @module
 */
import { fromUtf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { ItemResult, ItemStep, OpenContent, SavedItem } from "../core/items.ts";
import type { Session } from "../postgres/session.ts";
import {
  CATALOG_LISTS,
  type CatalogList,
  type OwnTables,
  readCatalogList,
  withoutOwn,
} from "./config_catalog.ts";
import { ROWS_CONTENT, type RowsDocument, TABLE_PREFIX } from "./config_source.ts";
import { readContent, readDocument } from "./saved_document.ts";
import {
  compareRows,
  parseTableName,
  readTableRows,
  type RowsDifference,
  type TableName,
  type TableRows,
  writeTableRows,
} from "./settings_rows.ts";
import { type Connect, withSession } from "./settings_session.ts";

/** What rows are compared with and written to. */
export interface RowsTarget {
  connect: Connect | null;
  open: OpenContent;
  /** Tables whose indexes and webhooks are not compared. @default none */
  own?: OwnTables;
}

const WITH_DATABASE = "they come back with the database";

/** What would be done with an item of rows. */
export async function planRows(
  target: RowsTarget,
  { item, signal }: { item: SavedItem; signal: AbortSignal },
): Promise<ItemStep[]> {
  const { key } = item;
  const saved = await readSaved(target.open, item);
  signal.throwIfAborted();
  if (saved.absent !== null) return [{ key, action: "keep", title: `${key}: none were saved` }];
  if (target.connect === null) {
    return [{ key, action: "by-hand", title: `${key}: there is no database to compare it with` }];
  }
  const list = CATALOG_LISTS.find((one) => one.key === key);
  if (list !== undefined) {
    const { own } = target;
    // A backup of an earlier release may tell of own tables too.
    const told = { ...saved, rows: withoutOwn(saved.rows, own) };
    return [
      await withSession(target.connect, (session) => planList(session, { list, saved: told, own })),
    ];
  }
  return await withSession(target.connect, (session) => planTable(session, { key, saved }));
}

async function planList(
  session: Session,
  { list, saved, own }: { list: CatalogList; saved: TableRows; own: OwnTables | undefined },
): Promise<ItemStep> {
  const { key, title } = list;
  const found = await readCatalogList(session, list, own) ?? [];
  const difference = await compareRows(session, { ...saved, key: [...list.identity] }, found);
  const { missing, different } = difference;
  if (missing + different === 0) {
    return {
      ...{ key, action: "keep", title: `${title}: none is missing` },
      difference: { ...difference },
    };
  }
  const words = [
    ...(missing === 0 ? [] : [`${missing} of ${saved.rows.length} are missing`]),
    ...(different === 0 ? [] : [`${different} are otherwise here`]),
  ];
  const { otherwise = WITH_DATABASE } = list;
  return {
    ...{ key, action: "by-hand", difference: { ...difference } },
    title: `${title}: ${words.join(", ")}; ${missing === 0 ? otherwise : WITH_DATABASE}`,
  };
}

async function planTable(
  session: Session,
  { key, saved }: { key: string; saved: TableRows },
): Promise<ItemStep[]> {
  const table = tableOf(key);
  const found = await readTableRows(session, table);
  const name = `${table.schema}.${table.name}`;
  if (found === null) {
    const title = `rows of ${name}: there is no such table; it comes back with the database`;
    return [{ key, action: "by-hand", title }];
  }
  const difference = await compareRows(session, saved, found.rows);
  if (difference.missing + difference.different === 0) {
    return [{ key, action: "keep", title: `rows of ${name}: none is missing` }];
  }
  if (saved.key.length === 0) {
    const title =
      `rows of ${name}: ${difference.missing} are missing; without a primary key they ` +
      "come back only with the database";
    return [{ key, action: "by-hand", title, difference: { ...difference } }];
  }
  return [{
    key,
    action: "replace",
    title: `rows of ${name}: ${inWords(difference)}`,
    difference: { ...difference },
  }];
}

function inWords({ missing, different, extra }: RowsDifference): string {
  return `add ${missing}, change ${different}, leave ${extra} that only the target has`;
}

/** @throws as `writeTableRows` does, and `restore_mismatch` when rows differ afterwards */
export async function applyRows(
  target: RowsTarget,
  { item, signal }: { item: SavedItem; signal: AbortSignal },
): Promise<ItemResult> {
  const { key } = item;
  const saved = await readSaved(target.open, item);
  signal.throwIfAborted();
  if (target.connect === null || !key.startsWith(TABLE_PREFIX)) {
    throw new BackupError("target_unfit", `Cannot restore ${key}: there is no database for it`, {
      hint: "Restore it with the backup of the database.",
    });
  }
  return await withSession(target.connect, async (session) => {
    const table = tableOf(key);
    await session.execute("begin");
    await writeTableRows(session, table, saved);
    const found = await readTableRows(session, table);
    const { missing, different } = await compareRows(session, saved, found?.rows ?? []);
    if (missing + different > 0) {
      throw new BackupError(
        "restore_mismatch",
        `Cannot restore the rows of ${table.schema}.${table.name}: ` +
          `${missing + different} are otherwise after they were written`,
        { hint: "A trigger of the table may change them. Nothing was changed." },
      );
    }
    await session.execute("commit");
    const checked = `${saved.rows.length} rows were compared after they were written`;
    return { key, outcome: "done", checked };
  });
}

function tableOf(key: string): TableName {
  return parseTableName(key.slice(TABLE_PREFIX.length));
}

async function readSaved(
  open: OpenContent,
  item: SavedItem,
): Promise<TableRows & { absent: string | null }> {
  const { absent, key, columns } = await readDocument<RowsDocument>(open, item);
  const text = fromUtf8(await readContent(open, { item, name: ROWS_CONTENT }));
  return { absent, key, columns, rows: text.split("\n").filter((line) => line !== "") };
}
