/**
 * Reads what a plan must know of a target, where the backup has very many objects: then the target may have
 * as many, and to read them takes most of what a worker has.
 *
 * @module
 */
import type { Json, Lease, PartOutcome } from "../../core/part.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import type { Repository } from "../../repository/mod.ts";
import {
  packEntries,
  type ReadAsOwners,
  removeMarks,
  type RestoreRequest,
  unpackEntries,
} from "../../restore/mod.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import { openLines } from "./backup_lines.ts";
import { READ_TARGET } from "./parts_of_restore.ts";
import { NO_ROWS, pack, readHashes, unpack } from "./read_in_parts.ts";
import { readTargetByLines } from "./restore_facts.ts";
import type { RestoreSessions } from "./restore_sessions.ts";

/** What the part has read. */
interface ReadTarget {
  packed: string;
  numbers: string;
  unwritableTables: number[];
}

/** Does the part: behind those that read the backup, because what reads otherwise is compared with it. */
export async function readTargetInPart(
  lease: Lease,
  { repository, request, sessions, jobId, commandLine = "deno task restore" }: {
    repository: Repository;
    request: RestoreRequest & { dryRun?: boolean };
    sessions: RestoreSessions;
    jobId: string;
    commandLine?: string;
  },
  context: PartContext,
): Promise<PartOutcome> {
  const { backupId } = lease.payload as { backupId: string };
  refuseWithoutRoom(lease, {
    doing: `plan the restore of ${backupId}`,
    hint: `Nothing was changed. Run it on any computer: ${commandLine}`,
  });
  const hashes = await readHashes(context);
  const session = await sessions.open();
  try {
    if (request.dryRun !== true) await removeMarks(session, { jobId, plan: lease.token });
    const lines = await openLines(repository, backupId);
    const { entries, unwritableTables } = await readTargetByLines(session, { lines, hashes });
    const { columns, numbers } = packEntries(entries, request);
    const result: ReadTarget = { packed: await pack(columns), numbers, unwritableTables };
    return { result: result as unknown as Json, ...NO_ROWS };
  } finally {
    await session.close();
  }
}

/** What the part has read. */
export async function takeTarget(
  { results }: Pick<PartContext, "results">,
): Promise<ReadAsOwners> {
  const [part] = await Array.fromAsync(results(READ_TARGET));
  const { packed, numbers, unwritableTables } = part!.result as unknown as ReadTarget;
  const columns = await unpack(packed) as Parameters<typeof unpackEntries>[0]["columns"];
  return { entries: unpackEntries({ columns, numbers }, { withDigests: true }), unwritableTables };
}
