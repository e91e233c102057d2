/**
 * Where objects are in storage. The only place that knows the layout.
 *
 * @module
 */

/** Plain description of the repository. */
export const REPOSITORY_FILE = "repository.json";
export const KEYS = "keys/";
export const OWNERS = "owners/";
export const CHUNKS = "chunks/";
export const MANIFESTS = "manifests/";
export const BACKUPS = "backups/";
export const POINTS = "points/";
export const DOCUMENTS = "documents/";
export const FREED = "freed/";

/** Most bytes of a file that is kept as plain JSON: the description and the key files. */
export const MAX_PLAIN_BYTES = 64 * 1024;

const CONTENT_NAME = /^[0-9a-f]{64}$/;

/** Whether the text is the name of content: 64 hexadecimal digits. */
export function isContentName(text: string): boolean {
  return CONTENT_NAME.test(text);
}

/** Path of a chunk; two digits of its name make 256 folders. */
export function chunkPath(name: string): string {
  return `${CHUNKS}${name.slice(0, 2)}/${name}`;
}

export function manifestPath(name: string): string {
  return MANIFESTS + name;
}

export function backupPath(backupId: string): string {
  return BACKUPS + backupId;
}

export function pointPath(pointId: string): string {
  return POINTS + pointId;
}

export function documentPath(name: string): string {
  return DOCUMENTS + name;
}

export function keyPath(keyId: string): string {
  return KEYS + keyId;
}

/** Owners are numbered: the highest one counts. */
export function ownerPath(number: number): string {
  return OWNERS + String(number).padStart(6, "0");
}

/** What a run of freeing space left: `expired`, `plan`, `begun-…`, `kept-…`, `done`. */
export function freedPath(runId: string, what: string): string {
  return `${FREED}${runId}/${what}`;
}

/** Last segment of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
