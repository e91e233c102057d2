/**
 * Edge Functions as a target of items: each is deployed from its source files where they are whole, else
 * from its bundle, and then read back and compared.
 *
 * @module
 */
import { concat } from "../core/bytes.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import {
  type ItemContent,
  type ItemResult,
  type ItemStep,
  type ItemTarget,
  type ItemWork,
  type SavedItem,
} from "../core/items.ts";
import { changeFunction, deployBundle, type Deployment, deploySources } from "./deploy_function.ts";
import { type DeployedFunction, getFunction, listFunctions } from "./function_calls.ts";
import { findDifference } from "./function_difference.ts";
import type { ManagementApi } from "./management_api.ts";
import {
  savedBundle,
  savedFacts,
  SOURCE_PREFIX,
  type WholeSources,
  wholeSources,
} from "./saved_function.ts";

/** What the target needs. */
export interface FunctionsTargetOptions {
  api: ManagementApi;
  /**
   * What to deploy from where both are there. Sources are built anew with what their imports lead to
   * today; a bundle is what ran, and may be too old for the platform of today. @default `source`
   */
  prefer?: "source" | "bundle";
  /** The function that this runs in; null elsewhere. */
  ownSlug?: string | null;
}

/** Makes the target. Nothing is read or changed yet. */
export function functionsTarget(options: FunctionsTargetOptions): ItemTarget {
  const { api } = options;
  return {
    async plan(items, signal) {
      const there = new Map<string, DeployedFunction>();
      for (const deployed of await listFunctions(api, signal)) there.set(deployed.slug, deployed);
      const steps: ItemStep[] = [];
      for (const item of items) {
        steps.push(await planStep(item, { deployed: there.get(item.key), options, signal }));
      }
      return steps;
    },
    apply: (step, work) => applyStep(step, work, options),
  };
}

async function planStep(
  item: SavedItem,
  { deployed, options, signal }: {
    deployed: DeployedFunction | undefined;
    options: FunctionsTargetOptions;
    signal: AbortSignal;
  },
): Promise<ItemStep> {
  const { key } = item;
  const name = `function ${key} (version ${savedFacts(item).version})`;
  if (item.contents.length === 0) {
    return { key, action: "by-hand", title: `${name} has no code in this backup` };
  }
  if (deployed === undefined) return { key, action: "create", title: `deploy ${name}` };
  const difference = await findDifference(options.api, { item, deployed, signal });
  if (difference === null) return { key, action: "keep", title: `${name} is there already` };
  const isOwn = key === options.ownSlug;
  return {
    key,
    action: "replace",
    title: `deploy ${name} over version ${deployed.version}`,
    difference,
    ...(isOwn ? { hazards: ["this is the function that restores: it replaces itself"] } : {}),
  };
}

async function applyStep(
  { key }: ItemStep,
  work: ItemWork,
  options: FunctionsTargetOptions,
): Promise<ItemResult> {
  const { api } = options;
  const { item, signal } = work;
  const before = await getFunction(api, key, signal);
  const difference = before && await findDifference(api, { item, deployed: before, signal });
  if (before !== null && difference === null) {
    return { key, outcome: "kept", checked: "it was there already" };
  }
  const how = difference !== null && !("code" in difference)
    ? (await changeFunction(api, deploymentOf(item), signal), "changed without a deployment")
    : await deploy(work, { options, exists: before !== null });
  const deployed = await getFunction(api, key, signal);
  const left = deployed && await findDifference(api, { item, deployed, signal });
  if (deployed !== null && left === null) {
    return { key, outcome: "done", checked: `${how}; read back, it is the same` };
  }
  throw new BackupError(
    "restore_mismatch",
    `Cannot confirm the Edge Function ${key}: ${
      left === null
        ? "it is not there afterwards"
        : `${Object.keys(left).join(", ")} differ from the backup`
    }`,
    { hint: "Somebody may have deployed it meanwhile. Restore it again.", details: { ...left } },
  );
}

/** Deploys code; says how. */
async function deploy(
  work: ItemWork,
  { options, exists }: { options: FunctionsTargetOptions; exists: boolean },
): Promise<string> {
  const { item, signal } = work;
  const { api, prefer = "source" } = options;
  const bundle = savedBundle(item);
  const sources = wholeSources(item);
  let why = "";
  if (sources !== null && (prefer === "source" || bundle === undefined)) {
    try {
      const read = { ...sources, files: await readSourceFiles(sources, work) };
      await deploySources(api, { ...deploymentOf(item), sources: read }, signal);
      return "deployed from its source files";
    } catch (thrown) {
      const error = toBackupError(thrown);
      if (bundle === undefined || !isBuildFailure(error)) throw error;
      why = `, which still runs, because its sources cannot be built: ${error.message}`;
    }
  }
  if (bundle === undefined) {
    throw new BackupError(
      "unsupported_object",
      `Cannot deploy the Edge Function ${item.key}: the backup has neither its bundle nor all its sources`,
      { hint: "Export its source files, add what is missing and deploy them by hand." },
    );
  }
  const told = { ...deploymentOf(item), bundle: await readWhole(bundle, work), exists };
  await deployBundle(api, { ...told, saved: savedFacts(item) }, signal);
  return `deployed from its bundle${why}`;
}

/** The platform refuses what was sent, and neither who sent it nor that there is one more. */
function isBuildFailure({ code, details }: BackupError): boolean {
  return code === "management_refused" && [400, 422].includes(Number(details?.status));
}

async function readSourceFiles(
  { contents }: WholeSources,
  work: ItemWork,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const content of contents) {
    files.set(content.name.slice(SOURCE_PREFIX.length), await readWhole(content, work));
  }
  return files;
}

function deploymentOf(item: SavedItem): Deployment {
  const { name, verify_jwt } = savedFacts(item);
  return { slug: item.key, name, verifyJwt: verify_jwt };
}

async function readWhole(content: ItemContent, { open }: ItemWork): Promise<Uint8Array> {
  return concat(await Array.fromAsync(open(content)));
}
