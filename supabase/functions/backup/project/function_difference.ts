/**
 * What distinguishes a deployed Edge Function from a saved one.
 *
 * @module
 */
import { cryptoBytes, toHex } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { SavedItem } from "../core/items.ts";
import type { Json } from "../core/part.ts";
import { type DeployedFunction, getBundle, getSources } from "./function_calls.ts";
import { aroundEntrypoint, readSources } from "./function_source_files.ts";
import type { ManagementApi } from "./management_api.ts";
import { savedBundle, SOURCE_PREFIX, wholeSources } from "./saved_function.ts";

/** By field; `from` is what is there, `to` what the backup has. */
export type FunctionDifference = { [field: string]: { from: Json; to: Json } };

/** What is compared. */
export interface ComparedFunction {
  item: SavedItem;
  deployed: DeployedFunction;
  signal: AbortSignal;
}

/**
 * Compares; null when all is the same. Of code the digests are compared first; where they differ it is
 * downloaded, for the same sources built twice are two bundles.
 *
 * @throws `management_…` when the code cannot be read back for a reason that may pass
 */
export async function findDifference(
  api: ManagementApi,
  compared: ComparedFunction,
): Promise<FunctionDifference | null> {
  const { item, deployed } = compared;
  const difference: FunctionDifference = {};
  for (const field of ["name", "verify_jwt"] as const) {
    const [from, to] = [deployed[field], item.facts[field]];
    if (to !== undefined && from !== to) difference[field] = { from: from ?? null, to };
  }
  const code = await findCodeDifference(api, compared);
  if (code !== null) difference.code = code;
  return Object.keys(difference).length === 0 ? null : difference;
}

async function findCodeDifference(
  api: ManagementApi,
  compared: ComparedFunction,
): Promise<{ from: Json; to: Json } | null> {
  const { item, deployed, signal } = compared;
  const digest = item.facts.ezbr_sha256;
  if (typeof digest === "string" && digest === deployed.ezbr_sha256) return null;
  const bundle = savedBundle(item);
  if (bundle !== undefined) {
    const there = await orUnreadable(getBundle(api, item.key, signal));
    if (there !== null && await sha256(there) === bundle.sha256) return null;
  }
  const paths = await differingPaths(api, compared);
  if (paths?.length === 0) return null;
  return {
    from: `version ${deployed.version}`,
    to: `version ${item.facts.version}${paths === null ? "" : `: ${paths.join(", ")}`}`,
  };
}

/** Source files that are not the same, seen from the entry point; null when sources do not tell all. */
async function differingPaths(
  api: ManagementApi,
  { item, deployed, signal }: ComparedFunction,
): Promise<string[] | null> {
  const sources = wholeSources(item);
  const answer = sources && await orUnreadable(getSources(api, item.key, signal));
  if (sources === null || answer === null) return null;
  const wanted = new Map<string, string | null>();
  for (const { name, sha256 } of sources.contents) {
    const path = name.slice(SOURCE_PREFIX.length);
    wanted.set(aroundEntrypoint(path, sources.entrypoint), sha256);
  }
  const found = new Map<string, string>();
  try {
    const there = readSources(answer, deployed);
    for (const [path, content] of there.files) {
      found.set(aroundEntrypoint(path, there.entrypoint), await sha256(content));
    }
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null;
    throw error;
  }
  return [...new Set([...wanted.keys(), ...found.keys()])]
    .filter((path) => wanted.get(path) !== found.get(path)).sort();
}

/** Null for code that the API will not give: it then counts as different. */
async function orUnreadable<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    const unreadable = ["management_refused", "management_not_found", "management_malformed"];
    if (error instanceof BackupError && unreadable.includes(error.code)) return null;
    throw error;
  }
}

async function sha256(bytes: Uint8Array): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", cryptoBytes(bytes))));
}
