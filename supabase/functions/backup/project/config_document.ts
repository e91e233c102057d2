/**
 * A section as a backup keeps it, and how it comes from an answer of the Management API.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { Json } from "../core/part.ts";
import type { ConfigSection, FieldValues } from "./config_section.ts";

/** Version of these documents. */
const FORMAT = 1;

/** A section of fields. */
export interface SectionDocument {
  format: number;
  section: string;
  /** Of the project that it was read from: digests mean something only there. */
  projectRef: string;
  /** Why the project has no such section; null when it has. */
  absent: string | null;
  /** Can be written back. */
  values: FieldValues;
  /** Digests of secrets that are set. */
  digests: { [field: string]: string };
  readOnly: FieldValues;
  /** Fields that this release did not know: kept, never written. */
  unknown: FieldValues;
  /** Names of what was not kept: secrets in the clear, and repetitions. */
  leftOut: string[];
}

/** A digest as the API gives it. What has another form could be the secret itself, and is not kept. */
const DIGEST = /^[0-9a-f]{64}$/i;

/** In place of a digest that is not kept. */
export const SET = "set";

/** Names under which an unknown field could hold a secret. */
const SECRET_NAME =
  /secret|passw|pass$|token|key|credential|private|auth|hash|salt|jwt|certificate|connection/i;

/** Sorts the fields of an answer by what may be kept of them. */
export function readSection(
  section: ConfigSection,
  { answer, projectRef }: { answer: Json; projectRef: string },
): SectionDocument {
  const document = emptyDocument(section, projectRef);
  const fields = flatten(section.view === undefined ? answer : section.view(answer), section);
  for (const [field, value] of Object.entries(fields)) sortIn(document, { section, field, value });
  document.leftOut.sort();
  return document;
}

/** A section that the project does not have. */
export function absentSection(
  section: ConfigSection,
  { projectRef, why }: { projectRef: string; why: string },
): SectionDocument {
  return { ...emptyDocument(section, projectRef), absent: why };
}

function emptyDocument(section: ConfigSection, projectRef: string): SectionDocument {
  return {
    format: FORMAT,
    section: section.key,
    projectRef,
    absent: null,
    values: {},
    digests: {},
    readOnly: {},
    unknown: {},
    leftOut: [],
  };
}

function sortIn(
  document: SectionDocument,
  { section, field, value }: { section: ConfigSection; field: string; value: Json },
): void {
  if (section.secrets?.[field] !== undefined) {
    if (value === null || value === "") return;
    const digest = typeof value === "string" && DIGEST.test(value) ? value.toLowerCase() : SET;
    document.digests[field] = digest;
  } else if (section.writable.includes(field)) document.values[field] = value;
  else if (section.readOnly?.[field] !== undefined) document.readOnly[field] = value;
  else if (section.leftOut?.includes(field) || holdsSecretName(field, value)) {
    document.leftOut.push(field);
  } else document.unknown[field] = value;
}

function holdsSecretName(field: string, value: Json): boolean {
  if (SECRET_NAME.test(field)) return true;
  if (value === null || typeof value !== "object") return false;
  return Object.entries(value).some(([name, inner]) => holdsSecretName(name, inner));
}

/** Objects are opened where the section has fields inside them, else they are one value. */
function flatten(answer: Json, section: ConfigSection, path = ""): FieldValues {
  if (answer === null || typeof answer !== "object" || Array.isArray(answer)) return {};
  const known = [...section.writable, ...Object.keys(section.readOnly ?? {})];
  const fields: FieldValues = {};
  for (const [name, value] of Object.entries(answer)) {
    const field = path + name;
    const isOpened = value !== null && typeof value === "object" &&
      known.some((one) => one.startsWith(`${field}.`));
    if (isOpened) Object.assign(fields, flatten(value, section, `${field}.`));
    else fields[field] = value;
  }
  return fields;
}

/** Undoes the paths: `{"a.b": 1}` becomes `{a: {b: 1}}`. */
export function nest(values: FieldValues): { [name: string]: Json } {
  const root: { [name: string]: Json } = {};
  for (const [field, value] of Object.entries(values)) {
    const names = field.split(".");
    const last = names.pop() as string;
    let place = root;
    for (const name of names) place = (place[name] ??= {}) as { [name: string]: Json };
    place[last] = value;
  }
  return root;
}

/** Bytes of a document: names in order, so that the same settings are the same bytes. */
export function encodeDocument(document: unknown): Uint8Array {
  return utf8(JSON.stringify(inOrder(document as Json), null, 2) + "\n");
}

/**
 * Reads a document that {@linkcode encodeDocument} wrote.
 *
 * @throws `object_altered` when it is none, `repository_format` when a later release wrote it
 */
export function decodeDocument<T extends { format: number }>(bytes: Uint8Array, key: string): T {
  let parsed: unknown;
  try {
    parsed = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new BackupError("object_altered", `Cannot read ${key} of the backup: it is not JSON`, {
      cause,
    });
  }
  const format = (parsed as { format?: unknown } | null)?.format;
  if (format === FORMAT) return parsed as T;
  throw new BackupError(
    "repository_format",
    `Cannot read ${key} of the backup: it has format ${format}, this release reads ${FORMAT}`,
    { hint: "Use the release that made the backup, or a later one." },
  );
}

/** The same value with its names sorted, at every depth. */
export function inOrder(value: Json): Json {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(inOrder);
  return Object.fromEntries(
    Object.keys(value).sort().map((name) => [name, inOrder(value[name] as Json)]),
  );
}

/** Whether two values are the same, whatever the order of their names. */
export function isSame(a: Json | undefined, b: Json | undefined): boolean {
  return JSON.stringify(inOrder(a ?? null)) === JSON.stringify(inOrder(b ?? null));
}
