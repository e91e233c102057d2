/**
 * Restores a configuration: the difference is shown first, then each section is written and read again.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import type {
  ItemResult,
  ItemStep,
  ItemTarget,
  ItemWork,
  OpenContent,
  SavedItem,
} from "../core/items.ts";
import { applyList, compareLists, showLists } from "./apply_list.ts";
import { applySection } from "./apply_section.ts";
import type { OwnTables } from "./config_catalog.ts";
import { compareSections, nameByHand, showDifference } from "./config_difference.ts";
import type { SectionDocument } from "./config_document.ts";
import { CONFIG_LISTS, type ConfigList } from "./config_lists.ts";
import type { ConfigSection } from "./config_section.ts";
import { CONFIG_SECTIONS, RESTORE_ORDER } from "./config_sections.ts";
import { ENVIRONMENT_KEY } from "./config_source.ts";
import { applyEnvironment, planEnvironment } from "./environment_target.ts";
import type { ManagementApi } from "./management_api.ts";
import { fetchList, fetchSection, type ListDocument } from "./read_config.ts";
import { applyRows, planRows } from "./rows_target.ts";
import { readDocument } from "./saved_document.ts";
import type { Connect } from "./settings_session.ts";

/** What a configuration is restored into. */
export interface ConfigTargetOptions {
  /** Null without a token: sections of the settings are then left to the person. */
  api: ManagementApi | null;
  /** Opens a session on the target's database, which is closed after use; null when there is none. */
  connect: Connect | null;
  /** Reads a saved content: a plan compares contents. */
  open: OpenContent;
  /** Tables whose indexes and webhooks are not compared. @default none */
  own?: OwnTables;
}

/** Makes the target. Nothing is read yet. */
export function configTarget(options: ConfigTargetOptions): ItemTarget {
  return {
    plan: (items, signal) => planConfig(options, { items, signal }),
    apply: (step, work) => applyConfig(options, { step, work }),
  };
}

async function planConfig(
  options: ConfigTargetOptions,
  { items, signal }: { items: readonly SavedItem[]; signal: AbortSignal },
): Promise<ItemStep[]> {
  const steps: ItemStep[] = [];
  for (const item of inOrderOfNeed(items)) {
    signal.throwIfAborted();
    try {
      steps.push(...await planItem(options, { item, signal }));
    } catch (error) {
      const failure = toBackupError(error);
      if (!isOfItemAlone(failure)) throw error;
      steps.push({
        key: item.key,
        action: "by-hand",
        title: `${item.key} cannot be compared: ${failure.message}`,
      });
    }
  }
  return steps;
}

/** Sections first as they need each other, then all others by their keys. */
function inOrderOfNeed(items: readonly SavedItem[]): SavedItem[] {
  const place = (key: string) => {
    const at = RESTORE_ORDER.indexOf(key);
    return at < 0 ? RESTORE_ORDER.length : at;
  };
  return items.map((item, at) => ({ item, at }))
    .sort((a, b) => place(a.item.key) - place(b.item.key) || a.at - b.at)
    .map(({ item }) => item);
}

/** A section that the token may not see, or that the project does not have, spares the others. */
function isOfItemAlone({ code }: BackupError): boolean {
  return [
    "management_forbidden",
    "management_malformed",
    "management_not_found",
    "management_refused",
    "insufficient_privilege",
    "repository_format",
    "target_unfit",
    "unsupported_object",
  ].includes(code);
}

async function planItem(
  options: ConfigTargetOptions,
  { item, signal }: { item: SavedItem; signal: AbortSignal },
): Promise<ItemStep[]> {
  const { key } = item;
  const { api } = options;
  const section = CONFIG_SECTIONS.find((one) => one.key === key);
  const list = CONFIG_LISTS.find((one) => one.key === key);
  if (section === undefined && list === undefined && key !== ENVIRONMENT_KEY) {
    return await planRows(options, { item, signal });
  }
  if (api === null) {
    const why = "no token for the Management API is set (BACKUP_MANAGEMENT_TOKEN)";
    return [{ key, action: "by-hand", title: `${key}: ${why}` }];
  }
  if (section !== undefined) {
    const saved = await readDocument<SectionDocument>(options.open, item);
    return await planSection(section, { api, saved, signal });
  }
  if (list !== undefined) {
    const saved = await readDocument<ListDocument>(options.open, item);
    return await planList(list, { api, saved, signal });
  }
  return await planEnvironment(api, { item, open: options.open, signal });
}

async function planSection(
  section: ConfigSection,
  { api, saved, signal }: { api: ManagementApi; saved: SectionDocument; signal: AbortSignal },
): Promise<ItemStep[]> {
  const { key, title } = section;
  const current = await fetchSection(api, section, signal);
  const difference = compareSections(section, { saved, current });
  const shown = showDifference(section, difference);
  const steps: ItemStep[] = [];
  const { changes, byHand, hazards } = difference;
  if (changes.length > 0) {
    steps.push({
      key,
      action: "replace",
      title: `change ${title}: ${names(changes.map(({ field }) => field))}`,
      difference: shown,
      ...(hazards.length === 0 ? {} : { hazards }),
    });
  }
  if (byHand.length > 0) {
    const how = section.byHand === undefined ? "" : `. ${section.byHand}`;
    steps.push({
      key,
      action: "by-hand",
      title: `supply by hand for ${title}: ${names(nameByHand(section, byHand))}${how}`,
      difference: shown,
    });
  }
  return steps.length > 0 ? steps : [{ key, action: "keep", title: `${title}: the same` }];
}

async function planList(
  list: ConfigList,
  { api, saved, signal }: { api: ManagementApi; saved: ListDocument; signal: AbortSignal },
): Promise<ItemStep[]> {
  const { key, title, hazard } = list;
  const current = await fetchList(api, list, signal);
  const difference = compareLists(list, { saved: saved.elements, current });
  const { create, update } = difference;
  const shown = showLists(list, difference);
  if (create.length + update.length === 0) {
    return [{ key, action: "keep", title: `${title}: nothing is missing`, difference: shown }];
  }
  return [{
    key,
    action: "replace",
    title: `${title}: add ${create.length}, change ${update.length}`,
    difference: shown,
    ...(hazard === undefined || create.length === 0 ? {} : { hazards: [hazard] }),
  }];
}

/** A few names, and how many more there are. */
function names(all: readonly string[]): string {
  const shown = all.slice(0, 12).join(", ");
  return all.length > 12 ? `${shown} and ${all.length - 12} more` : shown;
}

async function applyConfig(
  options: ConfigTargetOptions,
  { step, work }: { step: ItemStep; work: ItemWork },
): Promise<ItemResult> {
  const { key } = step;
  if (step.action === "keep") return { key, outcome: "kept" };
  if (step.action === "by-hand") return { key, outcome: "by-hand", checked: step.title };
  const { item, open, signal } = work;
  const section = CONFIG_SECTIONS.find((one) => one.key === key);
  const list = CONFIG_LISTS.find((one) => one.key === key);
  if (section === undefined && list === undefined && key !== ENVIRONMENT_KEY) {
    return await applyRows({ ...options, open }, { item, signal });
  }
  const { api } = options;
  if (api === null) {
    throw new BackupError("target_unfit", `Cannot restore ${key}: no token is set any more`, {
      hint: "supabase secrets set BACKUP_MANAGEMENT_TOKEN=<the token>, then restore again.",
    });
  }
  if (section !== undefined) {
    const saved = await readDocument<SectionDocument>(open, item);
    return await applySection(section, { api, saved, signal });
  }
  if (list !== undefined) {
    const saved = await readDocument<ListDocument>(open, item);
    return await applyList(list, { api, saved, signal });
  }
  return await applyEnvironment(api, { item, open, signal });
}
