/**
 * Edge Functions as a source of items: of each the bundle that runs and the source files, with what the
 * platform knows of it.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import {
  compareKeys,
  type ItemFacts,
  type ItemPage,
  type ItemSource,
  type ItemSourceFacts,
  type ListedItem,
  type ReadItem,
} from "../core/items.ts";
import {
  type DeployedFunction,
  getBundle,
  getFunction,
  getSources,
  listFunctions,
} from "./function_calls.ts";
import { type FunctionSources, readSources } from "./function_source_files.ts";
import { staticFilesIn } from "./eszip_files.ts";
import type { ManagementApi } from "./management_api.ts";
import { BUNDLE, type FunctionFacts, SOURCE_PREFIX } from "./saved_function.ts";

/** What the source needs. */
export interface FunctionsSourceOptions {
  /** Null when there is no token. */
  api: ManagementApi | null;
  projectRef: string | null;
  /** Why there is no client. */
  withoutApi?: string;
}

/** Readings of one function before it is given up: somebody deploys it all the time. */
const READINGS = 3;

/** Makes the source. Nothing is read yet. */
export function functionsSource(options: FunctionsSourceOptions): ItemSource {
  const { api, projectRef, withoutApi = "no token for the Management API is set" } = options;
  return {
    type: "function",
    describe: () =>
      Promise.resolve<ItemSourceFacts>({
        projectRef,
        facts: {},
        missing: [],
        skipped: api === null ? [{ what: "Edge Functions", reason: withoutApi }] : [],
      }),
    page: async (_after, signal): Promise<ItemPage> => {
      const functions = api === null ? [] : await listFunctions(api, signal);
      const items = functions.map(toItem).sort((a, b) => compareKeys(a.key, b.key));
      return { items, next: null };
    },
    read: async (item, signal) => api === null ? null : await readFunction(api, item, signal),
  };
}

/** All that the listing says. */
function toItem(deployed: DeployedFunction): ListedItem {
  const facts: ItemFacts = {};
  for (const [name, value] of Object.entries(deployed)) {
    if (value !== undefined) facts[name] = value;
  }
  return { key: deployed.slug, revision: revisionOf(deployed), facts, sizeBytes: 0 };
}

/** A version can be set by hand and a bundle deployed twice: together with the time they tell a change. */
function revisionOf({ version, ezbr_sha256, updated_at }: DeployedFunction): string {
  return `${version} ${ezbr_sha256 ?? ""} ${updated_at ?? ""}`;
}

/** Bundle and sources of one version: read again when it was deployed meanwhile. */
async function readFunction(
  api: ManagementApi,
  item: ListedItem,
  signal: AbortSignal,
): Promise<ReadItem | null> {
  let revision = item.revision;
  for (let reading = 1; reading <= READINGS; reading++) {
    const read = await readContents(api, item.key, signal);
    if (read === null || read.revision === revision) return read;
    revision = read.revision ?? null;
  }
  throw new BackupError(
    "conflict",
    `Cannot save the Edge Function ${item.key}: it was deployed each time while it was read`,
    { hint: "Run the backup again when nobody deploys it." },
  );
}

async function readContents(
  api: ManagementApi,
  slug: string,
  signal: AbortSignal,
): Promise<ReadItem | null> {
  const bundle = await tryTo(() => getBundle(api, slug, signal));
  const answer = await tryTo(() => getSources(api, slug, signal));
  // What both were read of is asked for last: a function of that version had them both.
  const deployed = await getFunction(api, slug, signal);
  if (deployed === null) return null;
  const sources = answer instanceof BackupError ? answer : parseSources(answer, deployed);
  if (sources instanceof BackupError && bundle instanceof BackupError) throw bundle;
  const { facts, revision } = toItem(deployed);
  return {
    revision,
    facts: { ...facts, ...sourceFacts(bundle, sources) },
    contents: [
      ...(bundle instanceof BackupError ? [] : [{ name: BUNDLE, body: bundle }]),
      ...(sources instanceof BackupError
        ? []
        : [...sources.files].sort(([a], [b]) => a < b ? -1 : 1)
          .map(([path, body]) => ({ name: SOURCE_PREFIX + path, body }))),
    ],
  };
}

/** The result, or an error that may concern one of the two forms only. */
async function tryTo<T>(read: () => Promise<T>): Promise<T | BackupError> {
  try {
    return await read();
  } catch (thrown) {
    const error = toBackupError(thrown);
    const ofThisForm = ["management_refused", "management_not_found", "management_malformed"];
    if (!ofThisForm.includes(error.code)) throw thrown;
    return error;
  }
}

function parseSources(
  answer: { body: Uint8Array; contentType: string },
  deployed: DeployedFunction,
): FunctionSources | BackupError {
  try {
    return readSources(answer, deployed);
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    return new BackupError(
      "management_malformed",
      `Cannot read the source files of the Edge Function ${deployed.slug}: ${cause.message}`,
      { cause },
    );
  }
}

/** Where the sources begin, and what is only in the bundle or nowhere. */
function sourceFacts(
  bundle: Uint8Array | BackupError,
  sources: FunctionSources | BackupError,
): FunctionFacts {
  const notSaved: string[] = [];
  let staticFiles: string[] | null = null;
  if (bundle instanceof BackupError) notSaved.push(`the bundle: ${bundle.message}`);
  else if ((staticFiles = staticFilesIn(bundle)) === null) {
    notSaved.push("a bundle that can be read: the API gives a broken one");
  }
  if (sources instanceof BackupError) {
    notSaved.push(`the source files: ${sources.message}`);
    return { source: null, staticFiles, notSaved };
  }
  const { entrypoint, importMap, files } = sources;
  if (importMap !== null && !files.has(importMap)) {
    notSaved.push(`${importMap} as a file: the API does not give import maps outside the bundle`);
  }
  return { source: { entrypoint, importMap }, staticFiles, notSaved };
}
