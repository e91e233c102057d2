/**
 * Whose repository it is: numbered objects, of which the highest intact one counts. Being write-once, two
 * first writers cannot both become the owner; and whoever can only write to the bucket, without the key,
 * can neither become it nor keep the owner out by putting something else under a number.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import { requestLine } from "../core/request_line.ts";
import { isDamage } from "./backups.ts";
import type { ObjectStore } from "./object_store.ts";
import { ownerPath, OWNERS } from "./paths.ts";
import type { RepositoryOwner } from "./types.ts";

/** Numbers have six digits. */
const HIGHEST = 999_999;

/** Every object that looks like an owner, read. */
interface OwnerList {
  /** The one that counts; null when there is none. */
  present: { owner: RepositoryOwner; number: number } | null;
  /** Numbers that are taken, by whatever. */
  taken: ReadonlySet<number>;
  /** Those above the one that counts that are none of ours. */
  damaged: Map<string, BackupError>;
}

/** The present owner; null when there is none. */
export async function readOwner(
  objects: ObjectStore,
  signal?: AbortSignal,
): Promise<{ owner: RepositoryOwner; number: number } | null> {
  return (await readOwners(objects, signal)).present;
}

/** Objects in the place of owners that this software did not write, by path; see `Repository.verify`. */
export async function findDamagedOwners(
  objects: ObjectStore,
  signal?: AbortSignal,
): Promise<Map<string, BackupError>> {
  return (await readOwners(objects, signal)).damaged;
}

async function readOwners(
  objects: ObjectStore,
  signal: AbortSignal | undefined,
): Promise<OwnerList> {
  const taken = new Set<number>();
  for await (const { name } of objects.storage.list(OWNERS, signal)) {
    const number = name.slice(OWNERS.length);
    if (/^\d{6}$/.test(number)) taken.add(Number(number));
  }
  const damaged: OwnerList["damaged"] = new Map();
  for (const number of [...taken].sort((a, b) => b - a)) {
    try {
      return { present: { owner: await readOne(objects, number, signal), number }, taken, damaged };
    } catch (thrown) {
      const error = toBackupError(thrown);
      if (!isDamage(error.code)) throw error;
      damaged.set(ownerPath(number), error);
    }
  }
  return { present: null, taken, damaged };
}

async function readOne(
  objects: ObjectStore,
  number: number,
  signal: AbortSignal | undefined,
): Promise<RepositoryOwner> {
  const path = ownerPath(number);
  const content = await objects.get({ kind: "owner", path }, signal);
  try {
    return JSON.parse(fromUtf8(content)) as RepositoryOwner;
  } catch (cause) {
    throw new BackupError("object_altered", `Cannot read ${path}: it is not JSON`, { cause });
  }
}

/** Makes the writer the owner, or finds that it is one. @throws `repository_foreign`, `conflict` */
export async function claimOwner(
  objects: ObjectStore,
  writer: RepositoryOwner,
  options: { takeOver?: boolean; signal?: AbortSignal } = {},
): Promise<void> {
  for (;;) {
    const { present, taken } = await readOwners(objects, options.signal);
    if (present && isSame(present.owner, writer)) return;
    if (present && !options.takeOver) throw foreign(present.owner, writer);
    const path = ownerPath(nextNumber(present?.number ?? 0, taken));
    const { projectRef, systemIdentifier, database } = writer;
    const content = utf8(JSON.stringify({ projectRef, systemIdentifier, database }));
    await objects.put(content, { kind: "owner", path }, options.signal);
    // Read again: another writer may have been first, and a lost answer says the same as that.
  }
}

/** The next free number: all writers that see the same list choose the same one, and one of them gets it. */
function nextNumber(present: number, taken: ReadonlySet<number>): number {
  for (let number = present + 1; number <= HIGHEST; number++) {
    if (!taken.has(number)) return number;
  }
  throw new BackupError(
    "conflict",
    "Cannot become the owner of the repository: no number is free",
    {
      hint: "Verify the repository: it names what is in the place of owners. Remove that.",
    },
  );
}

/**
 * A Supabase project keeps its ref through an upgrade, which changes the system identifier; elsewhere, and
 * for a program that is given an address only, the system identifier is all there is.
 */
function isSame(a: RepositoryOwner, b: RepositoryOwner): boolean {
  if (a.database !== b.database) return false;
  if (a.projectRef !== null && b.projectRef !== null) return a.projectRef === b.projectRef;
  return a.systemIdentifier !== null && a.systemIdentifier === b.systemIdentifier;
}

function foreign(owner: RepositoryOwner, writer: RepositoryOwner): BackupError {
  return new BackupError(
    "repository_foreign",
    `Cannot write to this repository as ${describe(writer)}: it belongs to ${describe(owner)}`,
    {
      hint:
        "Use another bucket or prefix for this database. If that database is gone and this one goes on " +
        `for it: ${requestLine("init", { takeOverRepository: nameOf(owner) })}`,
      details: { owner, writer },
    },
  );
}

/** By what an owner is meant when it is taken over from. */
function nameOf({ projectRef, systemIdentifier }: RepositoryOwner): string {
  return projectRef ?? systemIdentifier ?? "unknown";
}

function describe(owner: RepositoryOwner): string {
  const cluster = owner.projectRef === null
    ? `system ${owner.systemIdentifier ?? "unknown"}`
    : `project ${owner.projectRef}`;
  return `database ${owner.database ?? "unknown"} of ${cluster}`;
}
