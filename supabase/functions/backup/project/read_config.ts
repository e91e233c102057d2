/**
 * Reads sections and lists of the settings through the Management API.
 *
 * @module
 */
import { z } from "zod";
import { toBackupError } from "../core/errors.ts";
import type { Json } from "../core/part.ts";
import { absentSection, readSection, type SectionDocument } from "./config_document.ts";
import type { ConfigList } from "./config_lists.ts";
import type { ConfigSection, FieldValues } from "./config_section.ts";
import type { ManagementApi } from "./management_api.ts";

/** Any answer that is an object or a list: which fields are known, the sections say. */
const ANSWER = z.union([z.record(z.string(), z.json()), z.array(z.json())]) as z.ZodType<Json>;

/** A list of settings as a backup keeps it. */
export interface ListDocument {
  format: number;
  section: string;
  projectRef: string;
  absent: string | null;
  elements: FieldValues[];
}

/** A list in a project now: each element with what the API told of it. */
export interface FoundList {
  absent: string | null;
  elements: { element: FieldValues; found: FieldValues }[];
}

/** Reads a section. @throws the `management_*` codes */
export async function fetchSection(
  api: ManagementApi,
  section: ConfigSection,
  signal: AbortSignal,
): Promise<SectionDocument> {
  const { projectRef } = api;
  const answer = await ask(api, section, signal);
  return typeof answer === "string"
    ? absentSection(section, { projectRef, why: answer })
    : readSection(section, { answer: answer.answer, projectRef });
}

/** Reads a list. @throws the `management_*` codes */
export async function fetchList(
  api: ManagementApi,
  list: ConfigList,
  signal: AbortSignal,
): Promise<FoundList> {
  const answer = await ask(api, list, signal);
  if (typeof answer === "string") return { absent: answer, elements: [] };
  const elements = list.view(answer.answer).map((found) => ({
    element: list.element(found),
    found,
  }));
  elements.sort((a, b) => list.nameOf(a.element) < list.nameOf(b.element) ? -1 : 1);
  return { absent: null, elements };
}

/** A list for a backup. */
export function listDocument(
  list: ConfigList,
  { found, projectRef }: { found: FoundList; projectRef: string },
): ListDocument {
  const elements = found.elements.map(({ element }) => element);
  return { format: 1, section: list.key, projectRef, absent: found.absent, elements };
}

/** The answer, or in words why the project has no such thing. */
async function ask(
  api: ManagementApi,
  { path, permission, title, absent }: ConfigSection | ConfigList,
  signal: AbortSignal,
): Promise<{ answer: Json } | string> {
  try {
    const to = `read ${title}`;
    return {
      answer: await api.get(path, { to, permission, answer: ANSWER, sensitive: true, signal }),
    };
  } catch (error) {
    const status = toBackupError(error).details?.status;
    if (status === 402) return "the plan does not include it";
    const why = typeof status === "number" ? absent?.[status] : undefined;
    if (why === undefined) throw error;
    return why;
  }
}
