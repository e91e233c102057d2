/**
 * Edge Functions of a project, deployed for tests and backed up.
 *
 * @module
 */
import { functionsSource } from "../../supabase/functions/backup/project/mod.ts";
import { backUpItems, type KeptItems } from "./item_round_trip.ts";
import type { ManagementContract } from "./management_contract.ts";

/** A function to deploy; paths lie below `supabase/functions/`. */
export interface Sample {
  files?: Record<string, string>;
  importMap?: string;
  staticPatterns?: string[];
  verifyJwt?: boolean;
}

/** Deploys as the platform's own tools do. */
export async function deploy(contract: ManagementContract, slug: string, sample: Sample = {}) {
  const { files = { [`${slug}/index.ts`]: `Deno.serve(/* ${slug} é */)` } } = sample;
  const path = (name: string) => `supabase/functions/${name}`;
  const form = new FormData();
  for (const [name, text] of Object.entries(files)) {
    form.append("file", new Blob([text]), path(name));
  }
  form.append(
    "metadata",
    JSON.stringify({
      name: slug,
      entrypoint_path: path(`${slug}/index.ts`),
      static_patterns: (sample.staticPatterns ?? []).map(path),
      verify_jwt: sample.verifyJwt ?? true,
      ...(sample.importMap === undefined ? {} : { import_map_path: path(sample.importMap) }),
    }),
  );
  const handle = contract.resources.functions.handlers["v1-deploy-a-function"]!;
  await handle({
    params: {},
    query: new URLSearchParams({ slug }),
    headers: new Headers(),
    json: null,
    form,
    bytes: new Uint8Array(),
  });
}

/** What saves the functions of the project. */
export function sourceOf(contract: ManagementContract) {
  const api = contract.api();
  return functionsSource({ api, projectRef: api.projectRef });
}

/** A backup of the functions of the project. */
export function backUp(contract: ManagementContract): Promise<KeptItems> {
  return backUpItems(sourceOf(contract));
}
