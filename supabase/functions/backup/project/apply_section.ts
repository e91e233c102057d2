/**
 * Writes a section of the settings back: only what differs, and checked by reading it again.
 *
 * @module
 */
import { z } from "zod";
import { BackupError, toBackupError } from "../core/errors.ts";
import type { ItemResult } from "../core/items.ts";
import { compareSections, type SectionDifference } from "./config_difference.ts";
import { nest, type SectionDocument } from "./config_document.ts";
import type { ConfigSection, FieldValues, SectionWrite } from "./config_section.ts";
import type { ManagementApi } from "./management_api.ts";
import { fetchSection } from "./read_config.ts";

/** What a section is written with. */
export interface SectionWork {
  api: ManagementApi;
  saved: SectionDocument;
  signal: AbortSignal;
}

/** Fields that were refused, each with the refusal. */
type Refused = { fields: string[]; error: BackupError }[];

/**
 * Restores a section. May be called again: it begins with what differs then.
 *
 * @throws the `management_*` codes when nothing was written; `restore_mismatch` when the project does not
 * have afterwards what was written
 */
export async function applySection(
  section: ConfigSection,
  { api, saved, signal }: SectionWork,
): Promise<ItemResult> {
  const current = await fetchSection(api, section, signal);
  const difference = compareSections(section, { saved, current });
  const { write, key } = section;
  if (write === null || difference.changes.length === 0) return { key, outcome: "kept" };
  const refused = await send(section, { api, write, difference, signal });
  const open = await openFields(section, { api, saved, signal });
  const fields = refused.flatMap((each) => each.fields);
  const unsettled = open.filter((field) => !fields.includes(field));
  if (unsettled.length > 0) {
    throw new BackupError(
      "restore_mismatch",
      `Cannot restore ${section.title}: afterwards ${unsettled.join(", ")} ` +
        "is not what was written",
      {
        hint: "It may take the platform some minutes: look at the plan again, then restore again.",
      },
    );
  }
  const written = difference.changes.length - fields.length;
  const checked = `${written} fields were written and read again`;
  const [first] = refused;
  if (first === undefined) return { key, outcome: "done", checked };
  const { code, message, hint } = first.error;
  return {
    key,
    outcome: "failed",
    checked,
    failure: {
      code,
      message: `Cannot restore ${fields.join(", ")}: ${message}`,
      ...(hint === undefined ? {} : { hint }),
    },
  };
}

/** Fields that still differ. */
async function openFields(
  section: ConfigSection,
  { api, saved, signal }: SectionWork,
): Promise<string[]> {
  const current = await fetchSection(api, section, signal);
  return compareSections(section, { saved, current }).changes.map(({ field }) => field);
}

/**
 * All at once; when the platform refuses that, by groups of fields that belong together, so that one that
 * the plan does not include leaves the others standing.
 */
async function send(
  section: ConfigSection,
  { api, write, difference, signal }: {
    api: ManagementApi;
    write: SectionWrite;
    difference: SectionDifference;
    signal: AbortSignal;
  },
): Promise<Refused> {
  const { changes, wanted } = difference;
  const call = (values: FieldValues) => sendValues(section, { api, write, values, signal });
  if (write.form === "whole") {
    await call(wanted);
    return [];
  }
  const values = Object.fromEntries(changes.map(({ field, to }) => [field, to]));
  const groups = groupFields(changes.map(({ field }) => field));
  try {
    await call(values);
    return [];
  } catch (error) {
    if (!isRefusal(error) || groups.length === 1) throw error;
  }
  const refused: Refused = [];
  for (const fields of groups) {
    try {
      await call(Object.fromEntries(fields.map((field) => [field, values[field] ?? null])));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused.push({ fields, error: toBackupError(error) });
    }
  }
  const [first] = refused;
  if (first !== undefined && refused.length === groups.length) throw first.error;
  return refused;
}

async function sendValues(
  section: ConfigSection,
  { api, write, values, signal }: {
    api: ManagementApi;
    write: SectionWrite;
    values: FieldValues;
    signal: AbortSignal;
  },
): Promise<void> {
  const { method, path, permission, body = nest } = write;
  const call = {
    to: `change ${section.title}`,
    permission,
    json: body(values),
    // Every one of these requests says how things shall be, not what shall be added to them.
    repeatable: true,
    answer: z.unknown(),
    sensitive: true,
    signal,
  };
  if (method === "PATCH") await api.patch(path, call);
  else if (method === "PUT") await api.put(path, call);
  else await api.post(path, call);
}

function isRefusal(error: unknown): boolean {
  return toBackupError(error).code === "management_refused";
}

/** Fields whose names begin alike belong together: a provider, a hook, the mail server. */
function groupFields(fields: readonly string[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const field of fields) {
    const words = field.split("_");
    const isLong = words[0] === "external" || words[0] === "hook" || words[0] === "mailer";
    const name = words.slice(0, isLong ? 2 : 1).join("_");
    groups.set(name, [...groups.get(name) ?? [], field]);
  }
  return [...groups.values()];
}
