/**
 * The driver gathers what it writes and, on this runtime, sometimes comes once more for what has gone
 * already: a cancelled `setImmediate` runs all the same when its turn had begun. A stream takes no null,
 * and what it throws then nobody can catch: the process would end.
 *
 * @module
 */
import { Socket } from "node:net";

const write = Socket.prototype.write as (this: Socket, ...given: unknown[]) => boolean;

/** Lets sockets take the driver's empty writes for what they are. Done once, however often it is called. */
export function ignoreNullWrites(): void {
  if (Socket.prototype.write !== write) return;
  Socket.prototype.write = function (this: Socket, ...given: unknown[]): boolean {
    return given[0] === null ? true : write.apply(this, given);
  } as typeof Socket.prototype.write;
}
