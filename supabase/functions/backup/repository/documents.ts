/**
 * Small documents that are no backups and must outlive the database: plans of recovery and the journals of
 * their executions.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { ObjectStore } from "./object_store.ts";
import { documentPath, DOCUMENTS } from "./paths.ts";

/** Names with folders, of what every storage takes; nothing hidden, nothing that climbs. */
const NAME = /^[A-Za-z0-9_-]{1,255}(\/[A-Za-z0-9_-]{1,255}){0,3}$/;

/** Longest content: a plan or a step's result, not data. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024;

/** See `Repository.writeDocument`. */
export async function writeDocument(
  objects: ObjectStore,
  { name, value }: { name: string; value: unknown },
  signal?: AbortSignal,
): Promise<{ created: boolean }> {
  const path = pathOf(name);
  const content = utf8(JSON.stringify(value));
  if (content.length > MAX_DOCUMENT_BYTES) {
    throw new BackupError("over_budget", `Cannot keep ${path}: it has ${content.length} bytes`, {
      hint: `The limit is ${MAX_DOCUMENT_BYTES} bytes.`,
    });
  }
  const { created } = await objects.put(content, { kind: "document", path }, signal);
  return { created };
}

/** See `Repository.readDocument`. */
export async function readDocument(
  objects: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<unknown> {
  const path = pathOf(name);
  const content = await objects.get({ kind: "document", path }, signal);
  try {
    return JSON.parse(fromUtf8(content));
  } catch (cause) {
    throw new BackupError("object_altered", `Cannot read ${path}: it is not JSON`, { cause });
  }
}

/** See `Repository.removeDocument`. */
export async function removeDocument(
  objects: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<boolean> {
  return await objects.deleteUnlessLocked(pathOf(name), signal);
}

/** See `Repository.listDocuments`. */
export async function* listDocuments(
  objects: ObjectStore,
  folder: string,
  signal?: AbortSignal,
): AsyncIterable<string> {
  for await (const { name } of objects.storage.list(`${pathOf(folder)}/`, signal)) {
    const relative = name.slice(DOCUMENTS.length);
    if (NAME.test(relative)) yield relative;
  }
}

function pathOf(name: string): string {
  if (NAME.test(name)) return documentPath(name);
  throw new BackupError("invalid_request", "Cannot keep the document: its name has another form");
}
