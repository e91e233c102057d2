/**
 * The calls of the Management API that read Edge Functions.
 *
 * @module
 */
import { z } from "zod";
import { BackupError, toBackupError } from "../core/errors.ts";
import type { BytesAnswer, ManagementApi } from "./management_api.ts";

/** A field that the API leaves out, or gives as null or empty, when there is nothing to say. */
function maybe<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value === "" ? undefined : value ?? undefined);
}

/** What is used of a function as the API tells of it. Times are milliseconds. */
export const deployedFunction = z.object({
  id: z.string(),
  slug: z.string().min(1),
  name: z.string(),
  status: z.string(),
  version: z.number().int(),
  created_at: maybe(z.number()),
  updated_at: maybe(z.number()),
  verify_jwt: maybe(z.boolean()),
  import_map: maybe(z.boolean()),
  entrypoint_path: maybe(z.string()),
  import_map_path: maybe(z.string()),
  ezbr_sha256: maybe(z.string()),
});

/** See {@linkcode deployedFunction}. */
export type DeployedFunction = z.infer<typeof deployedFunction>;

/** Where functions are. */
export const FUNCTIONS = "/v1/projects/{ref}/functions";

/** Where one is, by `function_slug`. */
export const FUNCTION = `${FUNCTIONS}/{function_slug}`;

/** A bundle may have 20 MB by the platform's limits, and sources beside it. */
const MOST_BYTES = 64 * 1024 * 1024;

/** What a token needs for it, by the API's document. */
const READ = "edge_functions_read";

/** All functions, in no order. */
export function listFunctions(
  api: ManagementApi,
  signal: AbortSignal,
): Promise<DeployedFunction[]> {
  return api.get(FUNCTIONS, {
    to: "list the Edge Functions",
    permission: READ,
    answer: z.array(deployedFunction),
    signal,
  });
}

/** One function; null when there is none. */
export async function getFunction(
  api: ManagementApi,
  slug: string,
  signal: AbortSignal,
): Promise<DeployedFunction | null> {
  try {
    return await api.get(FUNCTION, {
      to: `read the Edge Function ${slug}`,
      permission: READ,
      params: { function_slug: slug },
      answer: deployedFunction,
      signal,
    });
  } catch (error) {
    if (toBackupError(error).code === "management_not_found") return null;
    throw error;
  }
}

/** The bundle that runs, as an eszip. */
export async function getBundle(
  api: ManagementApi,
  slug: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { body } = await getBody(api, slug, { accept: "*/*", signal });
  // An eszip begins with its name, its compressed form with EZBR, the first version with a brace.
  if (/^(ESZIP|EZBR|\{)/.test(String.fromCharCode(...body.subarray(0, 5)))) return body;
  throw new BackupError(
    "management_malformed",
    `Cannot read the bundle of the Edge Function ${slug}: the answer is no bundle`,
    { hint: "Something between here and the API may answer in its place. Deploy it once more." },
  );
}

/** The source files in multipart form. */
export function getSources(
  api: ManagementApi,
  slug: string,
  signal: AbortSignal,
): Promise<BytesAnswer> {
  return getBody(api, slug, { accept: "multipart/form-data", signal });
}

function getBody(
  api: ManagementApi,
  slug: string,
  { accept, signal }: { accept: string; signal: AbortSignal },
): Promise<BytesAnswer> {
  return api.bytes(`${FUNCTION}/body`, {
    to: `read the body of the Edge Function ${slug}`,
    permission: READ,
    params: { function_slug: slug },
    accept,
    maxBytes: MOST_BYTES,
    signal,
  });
}
