/**
 * The driver gathers what it writes and, on this runtime, sometimes comes once more for what has gone
 * already: a cancelled `setImmediate` runs all the same when its turn had begun. A stream takes no null,
 * and what it throws then nobody can catch: the process would end.
 *
 * @module
 */
import { Duplex } from "node:stream";

const write = Duplex.prototype.write as (this: Duplex, ...given: unknown[]) => boolean;

/** Lets sockets, and every stream that stands for one, take the driver's empty writes for what they are. Done once, however often it is called. */
export function ignoreNullWrites(): void {
  if (Duplex.prototype.write !== write) return;
  Duplex.prototype.write = function (this: Duplex, ...given: unknown[]): boolean {
    return given[0] === null ? true : write.apply(this, given);
  } as typeof Duplex.prototype.write;
}
