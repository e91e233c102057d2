/**
 * The pace of all workers together towards the Management API, whose limit is that of the account and
 * not of a process.
 *
 * @module
 */
import type { StateDatabase } from "./database.ts";

/** How long nobody is asked after a try that failed: a database that is away must not slow each request. */
const ASK_AGAIN_MS = 60_000;

/** Counts requests in one window of time for all workers. */
export class ApiRequests {
  readonly #database: StateDatabase;
  /** By `performance.now()`. */
  #askAgainAt = 0;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /**
   * Takes one request out of the window that all workers share.
   *
   * Where the tables are away or not made yet it lets everybody go: then each worker keeps its own pace,
   * and the server's refusals are waited for.
   *
   * @returns milliseconds until it is worth asking again; 0: one request may be sent now, and is counted
   */
  async take({ requests, windowMs }: { requests: number; windowMs: number }): Promise<number> {
    if (performance.now() < this.#askAgainAt) return 0;
    try {
      return await this.#take(requests, windowMs);
    } catch {
      // See above: what is wrong with the database is told by whoever needs it.
      this.#askAgainAt = performance.now() + ASK_AGAIN_MS;
      return 0;
    }
  }

  async #take(requests: number, windowMs: number): Promise<number> {
    return await this.#database.transaction("count a request", async (sql) => {
      await sql`lock table backup_internal.api_requests in exclusive mode`;
      const window = sql`${windowMs / 1000} * interval '1 second'`;
      await sql`
        delete from backup_internal.api_requests where sent_at <= clock_timestamp() - ${window}`;
      const [row] = await sql`
        select count(*)::int as sent,
          ceil(extract(epoch from min(sent_at) + ${window} - clock_timestamp()) * 1000)::float8 as wait
        from backup_internal.api_requests`;
      if (Number(row?.sent) >= requests) return Math.max(1, Number(row?.wait));
      await sql`insert into backup_internal.api_requests (sent_at) values (clock_timestamp())`;
      return 0;
    });
  }
}
