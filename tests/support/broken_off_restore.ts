/**
 * A restore of a live database that is broken off between two of its parts, and of which nobody knows any more.
 *
 * @module
 */
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { DonePart, NewPart } from "../../supabase/functions/backup/core/part.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { restoreInParts } from "../../supabase/functions/backup/usecases/restore/restore_in_parts.ts";

/** Fills what is empty, up to and with the first part of rows, and leaves. Its id. */
export async function breakOffRestore(
  url: string,
  { repository, backupId }: { repository: Repository; backupId: string },
): Promise<string> {
  const jobId = `restore_${crypto.randomUUID()}`;
  const definition = restoreInParts({
    ...{ jobId, repository, backupId, connect: () => connect({ url }), clock: systemClock },
    ...{ request: { mode: "over" }, writtenBy: "test", maxWholeBytes: 1 },
    limits: { entries: 3, partBytes: 4096, longBytes: 1 << 30 },
  });
  const done: DonePart[] = [];
  let waiting: readonly NewPart[] = definition.first();
  const results = async function* (name: string) {
    for (const part of done) if (part.name === name) yield part;
  };
  while (done.at(-1)?.name !== "loading-rows") {
    const [next, ...rest] = waiting.toSorted((a, b) => a.step - b.step);
    const part = done.length;
    const lease = { ...next!, jobId, part, attempt: 1, round: 1, token: `${part + 1}`, until: "" };
    const context = { signal: new AbortController().signal, onProgress: () => {}, results };
    const outcome = await definition.run({ ...lease, previous: null }, context);
    done.push({ ...next!, part, result: outcome.result });
    waiting = [...rest, ...outcome.add ?? [], ...outcome.split ?? []];
  }
  await definition.leave?.();
  return jobId;
}
