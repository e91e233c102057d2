/**
 * What a restore would change in a section: a pure comparison of the saved one and the target's.
 *
 * @module
 */
import type { Json } from "../core/part.ts";
import { isSame, type SectionDocument, SET } from "./config_document.ts";
import type { ConfigSection, FieldChange, FieldValues } from "./config_section.ts";

/** A field that a person must see to. */
export interface ByHandField {
  field: string;
  why: string;
  /** The saved value; absent where it is a secret. */
  to?: Json;
}

/** See the module. */
export interface SectionDifference {
  /** What would be written, in order of the fields. */
  changes: FieldChange[];
  /** All writable fields as they would be afterwards, for a section that is replaced as a whole. */
  wanted: FieldValues;
  byHand: ByHandField[];
  hazards: string[];
}

/** Compares. Nothing of it is shown yet: see {@linkcode showDifference}. */
export function compareSections(
  section: ConfigSection,
  { saved, current }: { saved: SectionDocument; current: SectionDocument },
): SectionDifference {
  const secrets = compareSecrets(section, { saved, current });
  if (section.write === null) {
    const byHand = [...secrets.byHand, ...compareReadOnly(section, { saved, current })];
    return { changes: [], wanted: {}, byHand, hazards: [] };
  }
  if (saved.absent !== null) return { changes: [], wanted: {}, byHand: [], hazards: [] };
  if (current.absent !== null) {
    const why = `the target does not have it: ${current.absent}`;
    const byHand = Object.entries(saved.values).map(([field, to]) => ({ field, why, to }));
    return { changes: [], wanted: {}, byHand, hazards: [] };
  }
  const fitted = section.fit?.(saved.values, current.values) ?? saved.values;
  const byHand = [...secrets.byHand];
  const wanted: FieldValues = {};
  const changes: FieldChange[] = [];
  for (const field of section.writable) {
    const [from, to] = [current.values[field] ?? null, fitted[field] ?? null];
    const known = section.write.form === "whole" || fitted[field] !== undefined;
    const held = secrets.held.get(field);
    const settled = isSame(from, to) || !known;
    if (!settled && held !== undefined && isOn(to)) byHand.push({ field, why: held, to });
    else if (!settled && to === null && section.write.form === "changed" && !section.write.nulls) {
      byHand.push({ field, why: "the platform's default, which can be set only in the dashboard" });
    } else if (!settled) changes.push({ field, from, to });
    const value = changes.at(-1)?.field === field ? to : from;
    if (value !== null) wanted[field] = value;
  }
  byHand.push(...unknownFields({ saved, current }));
  const hazards = [...(section.hazards?.(changes) ?? []), ...namesOfSaved(saved, current, changes)];
  return { changes, wanted, byHand, hazards };
}

/** Secrets that the target lacks or may have otherwise, and the switches that wait for them. */
function compareSecrets(
  section: ConfigSection,
  { saved, current }: { saved: SectionDocument; current: SectionDocument },
): { byHand: ByHandField[]; held: Map<string, string> } {
  const byHand: ByHandField[] = [];
  const held = new Map<string, string>();
  for (const [field, digest] of Object.entries(saved.digests)) {
    const found = current.digests[field];
    if (found === undefined) {
      byHand.push({ field, why: "the target has none" });
      const waits = section.secrets?.[field]?.switch;
      if (waits !== undefined) held.set(waits, `it waits for ${field}, which the target lacks`);
    } else if (saved.projectRef !== current.projectRef || digest === SET || found === SET) {
      byHand.push({ field, why: "the target has one, whether it is the same cannot be told" });
    } else if (found !== digest) byHand.push({ field, why: "the target has another one" });
  }
  return { byHand, held };
}

/** A switch that is thrown: true, or an address such as the mail server's. */
function isOn(value: Json): boolean {
  return value !== null && value !== false && value !== "";
}

/** Fields that are never written and yet tell of something that the target lacks. */
function compareReadOnly(
  section: ConfigSection,
  { saved, current }: { saved: SectionDocument; current: SectionDocument },
): ByHandField[] {
  if (section.byHand === undefined || saved.absent !== null) return [];
  return Object.entries(saved.readOnly)
    .filter(([field, value]) => !isSame(value, current.readOnly[field]))
    .map(([field, to]) => {
      return { field, why: section.readOnly?.[field] ?? "the API only tells it", to };
    });
}

function unknownFields(
  { saved, current }: { saved: SectionDocument; current: SectionDocument },
): ByHandField[] {
  return Object.entries(saved.unknown)
    .filter(([field, value]) => !isSame(value, current.unknown[field]))
    .map(([field, to]) => ({ field, why: "this release does not know the field", to }));
}

/** Addresses that lead back to the saved project, when another one is restored. */
function namesOfSaved(
  saved: SectionDocument,
  current: SectionDocument,
  changes: readonly FieldChange[],
): string[] {
  if (saved.projectRef === current.projectRef) return [];
  return changes
    .filter(({ to }) => JSON.stringify(to).includes(saved.projectRef))
    .map(({ field }) => `${field}: its value names the saved project ${saved.projectRef}`);
}

/** Characters of a text that a plan shows. */
const SHOWN = 120;

/** The difference for people and programs, without what must not be shown. */
export function showDifference(section: ConfigSection, difference: SectionDifference): Json {
  return {
    changes: difference.changes.map(({ field, from, to }) => ({
      field,
      from: showValue(section, { field, value: from }),
      to: showValue(section, { field, value: to }),
    })),
    byHand: difference.byHand.map(({ field, why, to }) =>
      to === undefined
        ? { field, why }
        : { field, why, to: showValue(section, { field, value: to }) }
    ),
  };
}

/** What a person reads of the fields to see to: names, with the saved values where these are short. */
export function nameByHand(section: ConfigSection, byHand: readonly ByHandField[]): string[] {
  return byHand.map(({ field, to }) => {
    const shown = to === undefined ? null : showValue(section, { field, value: to });
    const isShort = typeof shown === "string" && shown !== "" && shown.length <= 60 ||
      typeof shown === "number" || typeof shown === "boolean";
    return isShort ? `${field} (${shown})` : field;
  });
}

function showValue(
  section: ConfigSection,
  { field, value }: { field: string; value: Json },
): Json {
  if (value === null || !section.unshown?.includes(field)) return shorten(value);
  return "***";
}

/** An address may carry a name and a password before its host. */
function shorten(value: Json): Json {
  if (typeof value !== "string" && JSON.stringify(value).length <= SHOWN) return value;
  const text = (typeof value === "string" ? value : JSON.stringify(value))
    .replace(/\/\/[^/@\s]+@/g, "//***@");
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}… (${text.length} characters)`;
}
