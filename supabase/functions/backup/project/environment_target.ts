/**
 * Restores variables of the environment whose values are no secrets; all others are named.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../core/errors.ts";
import type { ItemResult, ItemStep, OpenContent, SavedItem } from "../core/items.ts";
import { ENVIRONMENT_KEY, type EnvironmentDocument } from "./config_source.ts";
import type { ManagementApi } from "./management_api.ts";
import { listSecrets } from "./read_secrets.ts";
import { readDocument } from "./saved_document.ts";
import { digestForm } from "./secret_digest.ts";

/** Names that are set by the platform, or say where this service keeps its backups: a project's own. */
const OWN = /^(SUPABASE_|SB_|BACKUP_)/;

/** A variable that can be written. */
interface Writable {
  name: string;
  value: string;
}

interface EnvironmentWork {
  item: SavedItem;
  open: OpenContent;
  signal: AbortSignal;
}

/** What would be written, and what a person must supply. */
export async function planEnvironment(
  api: ManagementApi,
  work: EnvironmentWork,
): Promise<ItemStep[]> {
  const { write, present, missing } = await compare(api, work);
  const steps: ItemStep[] = [];
  const key = ENVIRONMENT_KEY;
  if (write.length > 0) {
    const [change, add] = [true, false].map((is) =>
      write.filter(({ name }) => present.has(name) === is).map(({ name }) => name)
    );
    steps.push({
      key,
      action: "replace",
      title: `set variables of the environment: ${write.map(({ name }) => name).join(", ")}`,
      difference: { add: add ?? [], change: change ?? [] },
      ...(change?.length === 0
        ? {}
        : { hazards: [`${change?.join(", ")}: the functions see other values at once`] }),
    });
  }
  if (missing.length > 0) {
    steps.push({
      key,
      action: "by-hand",
      title: `supply by hand with supabase secrets set NAME=…: ${missing.join(", ")}`,
      difference: { missing },
    });
  }
  if (steps.length > 0) return steps;
  return [{ key, action: "keep", title: "variables of the environment: nothing is missing" }];
}

/** @throws the `management_*` codes, `restore_mismatch` when a variable is not there afterwards */
export async function applyEnvironment(
  api: ManagementApi,
  work: EnvironmentWork,
): Promise<ItemResult> {
  const key = ENVIRONMENT_KEY;
  const { write } = await compare(api, work);
  if (write.length === 0) return { key, outcome: "kept" };
  await api.post("/v1/projects/{ref}/secrets", {
    to: "set variables of the environment",
    permission: "edge_functions_secrets_write",
    json: write,
    repeatable: true,
    sensitive: true,
    answer: z.unknown(),
    signal: work.signal,
  });
  const found = new Set((await listSecrets(api, work.signal)).map(({ name }) => name));
  const lacking = write.map(({ name }) => name).filter((name) => !found.has(name));
  if (lacking.length > 0) {
    throw new BackupError(
      "restore_mismatch",
      `Cannot set variables of the environment: afterwards ${lacking.join(", ")} are not there`,
      { hint: "Set them with: supabase secrets set NAME=…" },
    );
  }
  return { key, outcome: "done", checked: `${write.length} variables were set and found again` };
}

async function compare(
  api: ManagementApi,
  { item, open, signal }: EnvironmentWork,
): Promise<{ write: Writable[]; present: Set<string>; missing: string[] }> {
  const { variables } = await readDocument<EnvironmentDocument>(open, item);
  const found = await listSecrets(api, signal);
  const digests = new Map(found.map(({ name, digest }) => [name, digest]));
  const write: Writable[] = [];
  const missing: string[] = [];
  for (const { name, value } of variables) {
    const digest = digests.get(name);
    if (value === null || OWN.test(name)) {
      const isOurs = name.startsWith("SUPABASE_") || name.startsWith("SB_");
      if (digest === undefined && !isOurs) missing.push(name);
      continue;
    }
    const { projectRef } = api;
    const same = digest !== undefined && await digestForm(digest, { value, projectRef }) !== null;
    if (!same) write.push({ name, value });
  }
  return { write, present: new Set(digests.keys()), missing };
}
