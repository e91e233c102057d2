/**
 * Reads what a plan must know of a target, where the backup has very many objects: then the target may have
 * as many, and to read them takes most of what a worker has.
 *
 * @module
 */
import type { Entry } from "../../core/model.ts";
import type { Json, Lease, PartOutcome } from "../../core/part.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import type { Repository } from "../../repository/mod.ts";
import {
  packEntries,
  type ReadAsOwners,
  type RestoreRequest,
  type SlimLines,
  unpackEntries,
} from "../../restore/mod.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import { openLines } from "./backup_lines.ts";
import { READ_TARGET, type TargetPayload } from "./parts_of_restore.ts";
import { NO_ROWS, pack, readHashes, unpack } from "./read_in_parts.ts";
import { readTargetByLines } from "./restore_facts.ts";
import type { RestoreSessions } from "./restore_sessions.ts";

/** What one of them has read. */
interface ReadTarget extends Pick<SlimLines, "numbers"> {
  packed: string;
  unwritableTables: number[];
  isSliced: boolean;
}

/** Does one of them: behind those that read the backup, because what reads otherwise is compared with it. */
export async function readTargetInPart(
  lease: Lease,
  { repository, request, sessions, commandLine = "deno task restore" }: {
    repository: Repository;
    request: RestoreRequest;
    sessions: RestoreSessions;
    commandLine?: string;
  },
  context: PartContext,
): Promise<PartOutcome> {
  const { backupId, slice } = lease.payload as unknown as TargetPayload;
  refuseWithoutRoom(lease, {
    doing: `plan the restore of ${backupId}`,
    hint: `Nothing was changed. Run it on any computer: ${commandLine}`,
  });
  const hashes = await readHashes(context);
  const session = await sessions.open();
  try {
    const lines = await openLines(repository, backupId);
    const read = await readTargetByLines(session, { lines, hashes, slice });
    const { columns, numbers } = packEntries(read.entries, request);
    const { unwritableTables } = read;
    const isSliced = slice !== null;
    const result: ReadTarget = { packed: await pack(columns), numbers, unwritableTables, isSliced };
    return { result: result as unknown as Json, ...NO_ROWS };
  } finally {
    await session.close();
  }
}

/** What they have read together; `isSliced` where they do not tell what entries depend on. */
export async function takeTarget(
  { results }: Pick<PartContext, "results">,
): Promise<ReadAsOwners & Pick<ReadTarget, "isSliced">> {
  const target = { entries: [] as Entry[], unwritableTables: [] as number[], isSliced: false };
  for await (const { result } of results(READ_TARGET)) {
    const { packed, numbers, unwritableTables, isSliced } = result as unknown as ReadTarget;
    const columns = await unpack(packed) as SlimLines["columns"];
    for (const entry of unpackEntries({ columns, numbers }, { withDigests: true })) {
      target.entries.push(entry);
    }
    target.unwritableTables.push(...unwritableTables);
    target.isSliced ||= isSliced;
  }
  return target;
}
