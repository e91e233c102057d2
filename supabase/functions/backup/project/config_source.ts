/**
 * A project's configuration as items: one for each section of the settings, for the environment, for each
 * settings table and for each list of the database. What cannot be read is told of that item alone.
 *
 * @module
 */
import { utf8 } from "../core/bytes.ts";
import { type BackupError, toBackupError } from "../core/errors.ts";
import {
  compareKeys,
  type ItemPage,
  type ItemSource,
  type ItemSourceFacts,
  type ListedItem,
  type ReadItem,
} from "../core/items.ts";
import type { Session } from "../postgres/session.ts";
import { CATALOG_LISTS, type OwnTables, readCatalogList } from "./config_catalog.ts";
import { encodeDocument } from "./config_document.ts";
import { CONFIG_LISTS } from "./config_lists.ts";
import { CONFIG_SECTIONS } from "./config_sections.ts";
import { type KnownVariable, readVariables } from "./environment_values.ts";
import type { ManagementApi } from "./management_api.ts";
import { probeProject } from "./probe_project.ts";
import { fetchList, fetchSection, listDocument } from "./read_config.ts";
import { listSecrets } from "./read_secrets.ts";
import { parseTableName, readTableRows } from "./settings_rows.ts";
import { type Connect, withSession } from "./settings_session.ts";

/** What a configuration is read from. */
export interface ConfigSourceOptions {
  projectRef: string | null;
  /** Null without a token: then only the database and the environment are read. */
  api: ManagementApi | null;
  /** Why there is none, for the report. */
  withoutApi?: string;
  /** Opens a session on the project's database, which is closed after use; null when it has none. */
  connect: Connect | null;
  environment: {
    variable(name: string): string | undefined;
    /** Names that the user declared to be no secrets. */
    declared: readonly string[];
  };
  /** Tables with settings, as `schema.table`. */
  settingsTables: readonly string[];
  /** Tables whose indexes and webhooks are not told of. @default none */
  own?: OwnTables;
}

/** The content with fields, variables or what is known of rows. */
export const SECTION_CONTENT = "section.json";
/** The content with rows: one object of JSON a line. */
export const ROWS_CONTENT = "rows.jsonl";
/** Key of the environment's item. */
export const ENVIRONMENT_KEY = "environment";
/** Keys of settings tables begin so. */
export const TABLE_PREFIX = "table/";

/** Rows of the database as a backup keeps them; the rows themselves are a content of their own. */
export interface RowsDocument {
  format: number;
  section: string;
  projectRef: string;
  /** Why there are none; null when there are. */
  absent: string | null;
  rows: number;
  /** Of a settings table; empty for a list of the database. */
  key: string[];
  columns: string[];
}

/** The environment as a backup keeps it. */
export interface EnvironmentDocument {
  format: number;
  section: string;
  projectRef: string;
  variables: KnownVariable[];
}

/** Makes the source. Nothing is read yet. */
export function configSource(options: ConfigSourceOptions): ItemSource {
  return new ConfigSource(options);
}

class ConfigSource implements ItemSource {
  readonly type = "config";
  readonly #options: ConfigSourceOptions;
  #probed: Promise<BackupError | null> | undefined;

  constructor(options: ConfigSourceOptions) {
    this.#options = options;
  }

  async describe(signal: AbortSignal): Promise<ItemSourceFacts> {
    const { api, connect, projectRef, withoutApi } = this.#options;
    const refused = await this.#refused(signal);
    const names = await this.#variableNames(signal);
    const what =
      "settings of the project (sign-in, data API, database, Storage, Realtime, network)";
    return {
      projectRef,
      facts: { sections: this.#keys(refused) },
      missing: [
        ...(refused === null ? [] : [{ what, failure: toFailure(refused) }]),
        ...(Array.isArray(names)
          ? []
          : [{ what: "names of the environment's variables", failure: toFailure(names) }]),
      ],
      skipped: [
        ...(api === null
          ? [{ what, reason: withoutApi ?? "no token for the Management API is set" }]
          : []),
        ...(connect === null
          ? [{
            what: "settings tables, migrations, indexes, webhooks and cron jobs of the database",
            reason: "no database is set",
          }]
          : []),
      ],
    };
  }

  async page(_after: string | null, signal: AbortSignal): Promise<ItemPage> {
    const keys = this.#keys(await this.#refused(signal));
    const items = keys.map((key) => ({ key, revision: null, facts: {}, sizeBytes: 0 }));
    return { items, next: null };
  }

  async read({ key }: ListedItem, signal: AbortSignal): Promise<ReadItem | null> {
    if (key === ENVIRONMENT_KEY) return await this.#readEnvironment(signal);
    if (key.startsWith(TABLE_PREFIX)) return await this.#readTable(key);
    if (CATALOG_LISTS.some((list) => list.key === key)) return await this.#readCatalog(key);
    return await this.#readSection(key, signal);
  }

  /** Why the Management API lets nothing be read; null when it does, or is not asked. */
  #refused(signal: AbortSignal): Promise<BackupError | null> {
    const { api } = this.#options;
    this.#probed ??= api === null ? Promise.resolve(null) : probeProject(api, signal);
    this.#probed.catch(() => this.#probed = undefined);
    return this.#probed;
  }

  #keys(refused: BackupError | null): string[] {
    const { api, connect, settingsTables } = this.#options;
    const sections = [...CONFIG_SECTIONS, ...CONFIG_LISTS].map(({ key }) => key);
    return [
      ENVIRONMENT_KEY,
      ...(api === null || refused !== null ? [] : sections),
      ...(connect === null ? [] : CATALOG_LISTS.map(({ key }) => key)),
      ...(connect === null ? [] : settingsTables.map((table) => `${TABLE_PREFIX}${table}`)),
    ].sort(compareKeys);
  }

  async #readSection(key: string, signal: AbortSignal): Promise<ReadItem | null> {
    const { api } = this.#options;
    if (api === null) return null;
    const list = CONFIG_LISTS.find((one) => one.key === key);
    if (list !== undefined) {
      const found = await fetchList(api, list, signal);
      const document = listDocument(list, { found, projectRef: api.projectRef });
      return asItem(document, { title: list.title, elements: document.elements.length });
    }
    const section = CONFIG_SECTIONS.find((one) => one.key === key);
    if (section === undefined) return null;
    const document = await fetchSection(api, section, signal);
    return asItem(document, {
      title: section.title,
      absent: document.absent,
      fields: Object.keys(document.values).length,
      byHand: Object.keys(document.digests).sort(),
      unknown: Object.keys(document.unknown).sort(),
    });
  }

  async #readEnvironment(signal: AbortSignal): Promise<ReadItem> {
    const { environment, projectRef } = this.#options;
    const names = await this.#variableNames(signal);
    const variables = readVariables(Array.isArray(names) ? names : [], environment);
    const document: EnvironmentDocument = {
      format: 1,
      section: ENVIRONMENT_KEY,
      projectRef: projectRef ?? "",
      variables,
    };
    return asItem(document, {
      title: "variables of the environment",
      names: variables.length,
      values: variables.filter(({ value }) => value !== null).length,
    });
  }

  /** Names by the API, for a function cannot tell its own variables from the platform's; or why not. */
  async #variableNames(signal: AbortSignal): Promise<string[] | BackupError> {
    const { api } = this.#options;
    if (api === null || await this.#refused(signal) !== null) return [];
    try {
      return (await listSecrets(api, signal)).map(({ name }) => name);
    } catch (error) {
      const failure = toBackupError(error);
      // The values that are known are worth keeping without the other names.
      if (failure.code === "management_forbidden") return failure;
      throw error;
    }
  }

  async #readTable(key: string): Promise<ReadItem | null> {
    const table = parseTableName(key.slice(TABLE_PREFIX.length));
    const found = await this.#withSession((session) => readTableRows(session, table));
    const title = `rows of ${table.schema}.${table.name}`;
    return this.#rows(key, { title, rows: found?.rows ?? null, found });
  }

  async #readCatalog(key: string): Promise<ReadItem | null> {
    const list = CATALOG_LISTS.find((one) => one.key === key);
    if (list === undefined) return null;
    const { own } = this.#options;
    const rows = await this.#withSession((session) => readCatalogList(session, list, own));
    return this.#rows(key, { title: list.title, rows, found: null });
  }

  #rows(
    key: string,
    { title, rows, found }: {
      title: string;
      rows: string[] | null;
      found: { key: string[]; columns: string[] } | null;
    },
  ): ReadItem {
    const document: RowsDocument = {
      format: 1,
      section: key,
      projectRef: this.#options.projectRef ?? "",
      absent: rows === null ? "the database has none" : null,
      rows: rows?.length ?? 0,
      key: found?.key ?? [],
      columns: found?.columns ?? [],
    };
    const item = asItem(document, { title, rows: document.rows, absent: document.absent });
    const lines = (rows ?? []).map((row) => `${row}\n`).join("");
    return { ...item, contents: [...item.contents, { name: ROWS_CONTENT, body: utf8(lines) }] };
  }

  #withSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const { connect } = this.#options;
    if (connect === null) throw new TypeError("Cannot read the database: none is set");
    return withSession(connect, work);
  }
}

function asItem(document: unknown, facts: ReadItem["facts"] & object): ReadItem {
  return { facts, contents: [{ name: SECTION_CONTENT, body: encodeDocument(document) }] };
}

function toFailure({ code, message, hint }: BackupError) {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}
