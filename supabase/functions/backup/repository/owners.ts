/**
 * Whose repository it is: numbered objects, of which the highest counts. Being write-once, two first
 * writers cannot both become the owner.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { ObjectStore } from "./object_store.ts";
import { baseName, ownerPath, OWNERS } from "./paths.ts";
import type { RepositoryOwner } from "./types.ts";

/** The present owner; null when there is none. */
export async function readOwner(
  objects: ObjectStore,
  signal?: AbortSignal,
): Promise<{ owner: RepositoryOwner; number: number } | null> {
  let number = 0;
  for await (const { name } of objects.storage.list(OWNERS, signal)) {
    if (/^\d{6}$/.test(baseName(name))) number = Math.max(number, Number(baseName(name)));
  }
  if (number === 0) return null;
  const content = await objects.get({ kind: "owner", path: ownerPath(number) }, signal);
  return { owner: JSON.parse(fromUtf8(content)) as RepositoryOwner, number };
}

/** Makes the writer the owner, or finds that it is one. @throws `repository_foreign` */
export async function claimOwner(
  objects: ObjectStore,
  writer: RepositoryOwner,
  options: { takeOver?: boolean; signal?: AbortSignal } = {},
): Promise<void> {
  for (;;) {
    const present = await readOwner(objects, options.signal);
    if (present && isSame(present.owner, writer)) return;
    if (present && !options.takeOver) throw foreign(present.owner, writer);
    const path = ownerPath((present?.number ?? 0) + 1);
    const { projectRef, systemIdentifier, database } = writer;
    const content = utf8(JSON.stringify({ projectRef, systemIdentifier, database }));
    await objects.put(content, { kind: "owner", path }, options.signal);
    // Read again: another writer may have been first, and a lost answer says the same as that.
  }
}

/**
 * A Supabase project keeps its ref through an upgrade, which changes the system identifier; elsewhere
 * the system identifier is all there is.
 */
function isSame(a: RepositoryOwner, b: RepositoryOwner): boolean {
  if (a.database !== b.database) return false;
  if (a.projectRef !== null || b.projectRef !== null) return a.projectRef === b.projectRef;
  return a.systemIdentifier === b.systemIdentifier;
}

function foreign(owner: RepositoryOwner, writer: RepositoryOwner): BackupError {
  return new BackupError(
    "repository_foreign",
    `Cannot write to this repository as ${describe(writer)}: it belongs to ${describe(owner)}`,
    {
      hint:
        "Use another bucket or prefix for this database. If the database moved here, take the " +
        "repository over by name.",
      details: { owner, writer },
    },
  );
}

function describe(owner: RepositoryOwner): string {
  const cluster = owner.projectRef === null
    ? `system ${owner.systemIdentifier ?? "unknown"}`
    : `project ${owner.projectRef}`;
  return `database ${owner.database ?? "unknown"} of ${cluster}`;
}
