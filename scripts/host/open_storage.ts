/**
 * Opens storage for programs of a host.
 *
 * @module
 */
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";

type OpenStorageModule = typeof import("../../supabase/functions/backup/storage/open.ts");

const ROOT = "/";

/**
 * Put together, so that the runtime does not see it before it is needed: it reads and resolves whatever a
 * program names by a plain string, here all packages of S3, for a third of a second in every thread.
 */
const OPEN_STORAGE = ["../../supabase/functions/backup/storage", "open.ts"].join("/");

/**
 * As `openStorage`, with these credentials, or those of the environment. What S3 needs is loaded only for S3.
 *
 * @throws `invalid_config` when the address or the credentials cannot be used
 */
export async function openHostStorage(
  url: string,
  variables: Record<string, string> = {},
): Promise<Storage> {
  const directory = directoryOf(url);
  if (directory !== null) return localStorage(directory);
  const { openStorage } = await import(OPEN_STORAGE) as OpenStorageModule;
  const { GOOGLE_CREDENTIALS = await googleCredentials(url) } = variables;
  return openStorage(
    url,
    (name) =>
      name === "GOOGLE_CREDENTIALS" ? GOOGLE_CREDENTIALS : variables[name] ?? Deno.env.get(name),
  );
}

/** Google's own programs take the path of the key file: so do ours. */
async function googleCredentials(url: string): Promise<string | undefined> {
  const path = Deno.env.get("GOOGLE_APPLICATION_CREDENTIALS");
  const given = Deno.env.get("GOOGLE_CREDENTIALS");
  if (given !== undefined || path === undefined || !url.startsWith("gs:")) return given;
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    const message = "Cannot read the key of Google: GOOGLE_APPLICATION_CREDENTIALS names no file";
    throw new BackupError("invalid_config", message, { cause });
  }
}

/** The directory of a plain `file:///…` address; null for all that has to be looked at closely. */
function directoryOf(url: string): string | null {
  if (!url.startsWith("file:///") || !URL.canParse(url)) return null;
  try {
    const path = decodeURIComponent(new URL(url).pathname);
    return path === ROOT ? null : path;
  } catch {
    return null; // opened in full, it is told what is wrong
  }
}
