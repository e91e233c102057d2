/**
 * The calls of the Management API that deploy Edge Functions.
 *
 * @module
 */
import { brotliCompressSync, constants } from "node:zlib";
import { concat, cryptoBytes, toHex } from "../core/bytes.ts";
import { COMPRESSED_MAGIC, isCompressed } from "./eszip_files.ts";
import { type DeployedFunction, deployedFunction, FUNCTION, FUNCTIONS } from "./function_calls.ts";
import type { FunctionSources } from "./function_source_files.ts";
import type { ManagementApi } from "./management_api.ts";

/** What a token needs for it, by the API's document. */
const WRITE = "edge_functions_write";

/** What a deployment says besides the code. */
export interface Deployment {
  slug: string;
  name: string;
  /** Undefined leaves it to the platform. */
  verifyJwt: boolean | undefined;
}

/** Deployments build the function over there. */
const DEPLOY_TIMEOUT_MS = 120_000;

/** Deploys source files, whether or not there is such a function. Twice is as good as once. */
export function deploySources(
  api: ManagementApi,
  { slug, name, verifyJwt, sources }: Deployment & {
    sources: FunctionSources & { staticFiles: string[] };
  },
  signal: AbortSignal,
): Promise<DeployedFunction> {
  const { entrypoint, importMap, staticFiles, files } = sources;
  const metadata = {
    name,
    entrypoint_path: entrypoint,
    ...(importMap === null ? {} : { import_map_path: importMap }),
    static_patterns: staticFiles,
    ...(verifyJwt === undefined ? {} : { verify_jwt: verifyJwt }),
  };
  const form = () => {
    const data = new FormData();
    for (const [path, content] of files) data.append("file", new Blob([content as BlobPart]), path);
    data.append("metadata", JSON.stringify(metadata));
    return data;
  };
  return api.post(`${FUNCTIONS}/deploy`, {
    to: `deploy the Edge Function ${slug}`,
    permission: WRITE,
    query: { slug },
    form,
    repeatable: true,
    answer: deployedFunction,
    timeoutMs: DEPLOY_TIMEOUT_MS,
    signal,
  });
}

/** Deploys a bundle as it was, without building it again. */
export async function deployBundle(
  api: ManagementApi,
  { slug, name, verifyJwt, bundle, exists, saved }: Deployment & {
    bundle: Uint8Array;
    /** Whether there is such a function already. */
    exists: boolean;
    /** Paths inside the bundle, as they were told with it. */
    saved: Pick<DeployedFunction, "entrypoint_path" | "import_map" | "import_map_path">;
  },
  signal: AbortSignal,
): Promise<DeployedFunction> {
  const body = compressedBundle(bundle);
  const query: Record<string, string | boolean> = { slug, name };
  if (verifyJwt !== undefined) query.verify_jwt = verifyJwt;
  if (saved.import_map !== undefined) query.import_map = saved.import_map;
  if (saved.entrypoint_path !== undefined) query.entrypoint_path = saved.entrypoint_path;
  if (saved.import_map_path !== undefined) query.import_map_path = saved.import_map_path;
  query.ezbr_sha256 = toHex(
    new Uint8Array(await crypto.subtle.digest("SHA-256", cryptoBytes(body))),
  );
  const call = {
    to: `deploy the bundle of the Edge Function ${slug}`,
    permission: WRITE,
    query,
    bytes: { type: "application/vnd.denoland.eszip", body },
    answer: deployedFunction,
    timeoutMs: DEPLOY_TIMEOUT_MS,
    signal,
  };
  // The API has no other call that makes a function from a bundle; it is marked as to be given up.
  return exists
    ? await api.patch(FUNCTION, { ...call, params: { function_slug: slug } })
    : await api.post(FUNCTIONS, call);
}

/** Changes what a deployment says besides the code. */
export function changeFunction(
  api: ManagementApi,
  { slug, name, verifyJwt }: Deployment,
  signal: AbortSignal,
): Promise<DeployedFunction> {
  return api.patch(FUNCTION, {
    to: `change the Edge Function ${slug}`,
    permission: WRITE,
    params: { function_slug: slug },
    json: { name, ...(verifyJwt === undefined ? {} : { verify_jwt: verifyJwt }) },
    answer: deployedFunction,
    signal,
  });
}

/** Bundles are uploaded compressed, behind a word that says so. Downloads may have it or not. */
function compressedBundle(bundle: Uint8Array): Uint8Array {
  if (isCompressed(bundle)) return bundle;
  const params = { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY };
  // A copy, because Deno 2.1 compresses all the memory that a view is a part of.
  return concat([COMPRESSED_MAGIC, new Uint8Array(brotliCompressSync(bundle.slice(), { params }))]);
}

/** The quickest: a bundle of 20 MB must not use up the CPU time of a worker. */
const BROTLI_QUALITY = 1;
