/**
 * Changes one field of the project's settings, named by its section and its own name: `auth.site_url`.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Json } from "../core/part.ts";
import { applySection } from "./apply_section.ts";
import { compareSections } from "./config_difference.ts";
import type { ConfigSection } from "./config_section.ts";
import { CONFIG_SECTIONS } from "./config_sections.ts";
import type { ManagementApi } from "./management_api.ts";
import { fetchSection } from "./read_config.ts";

/** A field by its path. */
export interface ConfigField {
  section: ConfigSection;
  field: string;
}

/** The field that a path means; null when there is none that can be written. */
export function findConfigField(path: string): ConfigField | null {
  const dot = path.indexOf(".");
  const section = CONFIG_SECTIONS.find(({ key }) => key === path.slice(0, dot));
  const field = path.slice(dot + 1);
  if (section === undefined || section.write === null) return null;
  return section.writable.includes(field) ? { section, field } : null;
}

/** What became of a change. */
export interface FieldOutcome {
  /** False when the field had the value before. */
  changed: boolean;
  /** What could go wrong with it, in words. */
  hazards: string[];
}

/**
 * Gives a field a value, and reads it again. May be done again.
 *
 * @param change `dryRun` only looks whether it would change something
 * @throws `target_unfit` when the project has no such section or it does not take the value; the
 * `management_*` codes
 */
export async function changeConfigField(
  api: ManagementApi,
  { section, field }: ConfigField,
  { value, dryRun, signal }: { value: Json; dryRun: boolean; signal: AbortSignal },
): Promise<FieldOutcome> {
  const current = await fetchSection(api, section, signal);
  const saved = { ...current, values: { ...current.values, [field]: value } };
  const { changes, byHand, hazards } = compareSections(section, { saved, current });
  const why = current.absent ?? byHand.find((each) => each.field === field)?.why;
  if (why !== undefined) {
    throw new BackupError("target_unfit", `Cannot change ${section.key}.${field}: ${why}`);
  }
  if (changes.length === 0 || dryRun) return { changed: changes.length > 0, hazards };
  const { failure } = await applySection(section, { api, saved, signal });
  if (failure === undefined) return { changed: true, hazards };
  throw new BackupError("management_refused", failure.message, {
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
  });
}
