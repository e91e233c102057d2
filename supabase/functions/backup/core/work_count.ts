/**
 * Counts what passes through this process, so that a worker can tell what it has cost where the runtime
 * does not tell CPU time. Like the process itself, it exists once.
 *
 * @module
 */

/**
 * What is counted: reads of a database's socket and what is sent into one, what the driver of the service's
 * own tables reads and writes, requests to the storage of backups, and those for files.
 */
export type WorkKind = "socket" | "sent" | "driver" | "storage" | "request";

/** How often, and how many bytes. */
export interface WorkCount {
  times: number;
  bytes: number;
}

const counts: Record<WorkKind, WorkCount> = {
  socket: { times: 0, bytes: 0 },
  sent: { times: 0, bytes: 0 },
  driver: { times: 0, bytes: 0 },
  storage: { times: 0, bytes: 0 },
  request: { times: 0, bytes: 0 },
};

/** Counts one piece of work. */
export function countWork(kind: WorkKind, bytes: number): void {
  counts[kind].times += 1;
  counts[kind].bytes += bytes;
}

/** Everything since the process began. */
export function workDone(): Readonly<Record<WorkKind, WorkCount>> {
  const { socket, sent, driver, storage, request } = counts;
  return {
    socket: { ...socket },
    sent: { ...sent },
    driver: { ...driver },
    storage: { ...storage },
    request: { ...request },
  };
}
