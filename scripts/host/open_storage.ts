/**
 * Opens storage for programs of a host.
 *
 * @module
 */
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";

const ROOT = "/";

/**
 * As `openStorage`, with credentials from the environment. What S3 needs is loaded only for S3: each
 * thread would spend more time on loading it than on a megabyte of rows.
 *
 * @throws `invalid_config` when the address or the credentials cannot be used
 */
export async function openHostStorage(url: string): Promise<Storage> {
  const directory = directoryOf(url);
  if (directory !== null) return localStorage(directory);
  const { openStorage } = await import("../../supabase/functions/backup/storage/open.ts");
  return openStorage(url, (name) => Deno.env.get(name));
}

/** The directory of a plain `file:///…` address; null for all that has to be looked at closely. */
function directoryOf(url: string): string | null {
  if (!url.startsWith("file:///") || !URL.canParse(url)) return null;
  const path = decodeURIComponent(new URL(url).pathname);
  return path === ROOT ? null : path;
}
