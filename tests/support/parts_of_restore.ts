/**
 * Restores in parts, one part after the other or several at once, each by a worker that knows nothing of
 * the others and may die at a chosen moment.
 *
 * @module
 */
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type {
  DonePart,
  Lease,
  NewPart,
  PartOutcome,
} from "../../supabase/functions/backup/core/part.ts";
import type { JobDefinition } from "../../supabase/functions/backup/jobs/job_definition.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import type { RestoreReport } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import {
  restoreInParts,
  type RestoreInPartsOptions,
} from "../../supabase/functions/backup/usecases/restore/restore_in_parts.ts";
import { asRepository, type MemoryBackup } from "./memory_backup.ts";

/** So small that every index, comparison and foreign key is handed to the server. */
export const TINY_LIMITS = { entries: 3, partBytes: 4096, longBytes: 1 };

/** So large that nothing is cut, and only what is always handed to the server is. */
export const LARGE_LIMITS = { entries: 1000, partBytes: 2 ** 30, longBytes: 2 ** 40 };

/** What is thrown to whoever works with the sessions of a worker that is dead. */
export class Killed extends Error {
  override readonly name = "Killed";
}

/**
 * When a worker dies: at a statement, before it is sent, while it runs, or when it was answered. One that is
 * `asleep` does not die: it sends the statement when it wakes.
 */
export interface Death {
  at: (sql: string) => boolean;
  how: "before" | "during" | "after" | "asleep";
  /** For `during`: when it runs. For `asleep`: until when it sleeps. */
  wait?: () => Promise<void>;
}

/** A worker's connections, which all end when it dies; the server is not told to stop. */
export class Mortal {
  readonly #url: string;
  readonly #death: Death | null;
  readonly #sessions = new Set<Session>();
  isDead = false;

  constructor(url: string, death: Death | null = null) {
    this.#url = url;
    this.#death = death;
  }

  readonly connect = async (): Promise<Session> => {
    if (this.isDead) throw new Killed();
    const session = await connect({ url: this.#url });
    this.#sessions.add(session);
    return new Proxy(session, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        const call = (...given: unknown[]) => value.apply(target, given);
        if (name !== "query" && name !== "execute" && name !== "copyIn") return call;
        return (...given: unknown[]) => this.#live(String(given[0]), () => call(...given));
      },
    });
  };

  async kill(): Promise<void> {
    this.isDead = true;
    await Promise.all([...this.#sessions].map((session) => session.close()));
  }

  async #live(sql: string, call: () => Promise<unknown>): Promise<unknown> {
    if (this.isDead) throw new Killed();
    if (this.#death?.at(sql) !== true) return await call();
    if (this.#death.how === "asleep") {
      await this.#death.wait?.();
      return await call();
    }
    if (this.#death.how !== "before") {
      const answer = call().catch(() => {});
      await (this.#death.how === "after" ? answer : this.#death.wait?.());
    }
    await this.kill();
    throw new Killed();
  }
}

/** A worker that falls asleep at the first such statement. */
export function sleeper(url: string, at: (sql: string) => boolean) {
  const asleep = Promise.withResolvers<void>();
  const waking = Promise.withResolvers<void>();
  let slept = false;
  const mortal = new Mortal(url, {
    at: (sql) => !slept && at(sql) && (slept = true),
    how: "asleep",
    wait: () => {
      asleep.resolve();
      return waking.promise;
    },
  });
  return { mortal, asleep: asleep.promise, wake: () => waking.resolve() };
}

type WaitingPart = NewPart & { part: number; attempt: number; previous?: Lease["previous"] };

/** One restore: what is to be done, and what was recorded as done. */
export class PartsOfRestore {
  readonly jobId = `restore_${crypto.randomUUID()}`;
  readonly url: string;
  report: RestoreReport | null = null;
  readonly done: DonePart[] = [];
  readonly #backup: MemoryBackup;
  readonly #options: Partial<RestoreInPartsOptions>;
  #waiting: WaitingPart[];
  #count = 0;
  #leases = 0;

  constructor(backup: MemoryBackup, url: string, options: Partial<RestoreInPartsOptions> = {}) {
    this.url = url;
    this.#backup = backup;
    this.#options = options;
    this.#waiting = this.define().first().map((part) => this.#numbered(part));
  }

  /** What a worker that has just begun knows. */
  define(mortal: Mortal = new Mortal(this.url)): JobDefinition {
    return restoreInParts({
      ...{ jobId: this.jobId, connect: mortal.connect, repository: asRepository(this.#backup) },
      ...{ backupId: "latest", request: {}, clock: systemClock, writtenBy: "test", pollMs: 10 },
      limits: TINY_LIMITS,
      ...this.#options,
    });
  }

  /** Parts of the lowest step, which may be done at once. */
  get ready(): readonly WaitingPart[] {
    const step = Math.min(...this.#waiting.map((part) => part.step));
    return this.#waiting.filter((part) => part.step === step);
  }

  /** Does one part and records what came of it. */
  async work(
    part: WaitingPart,
    { definition = this.define(), signal = new AbortController().signal, record = true } = {},
  ): Promise<PartOutcome> {
    const token = String(++this.#leases);
    const lease = { ...part, ...{ jobId: this.jobId, round: 1, token, until: "" } };
    part.attempt++;
    const context = { signal, onProgress: () => {}, results: this.results };
    const outcome = await definition.run({ previous: null, ...lease }, context)
      .finally(() => definition.leave?.());
    if (!record) return outcome;
    this.#waiting = this.#waiting.filter((other) => other !== part);
    this.done.push({ ...part, result: outcome.result });
    const added = [...outcome.add ?? [], ...outcome.split ?? []];
    this.#waiting.push(...added.map((each) => this.#numbered(each)));
    if (outcome.finish !== undefined) {
      this.report = outcome.finish.result as unknown as RestoreReport;
    }
    return outcome;
  }

  /** Does everything that is left, or up to a part, each by a new worker. */
  async workUntil(
    isStop: (part: WaitingPart) => boolean = () => false,
  ): Promise<WaitingPart | null> {
    while (this.ready.length > 0) {
      const part = this.ready[0]!;
      if (isStop(part)) return part;
      await this.work(part);
    }
    return null;
  }

  /** Of parts of earlier steps, as tables keep them. */
  readonly results = async function* (this: PartsOfRestore, name: string) {
    for (const part of this.done) if (part.name === name) yield structuredClone(part);
  }.bind(this);

  #numbered(part: NewPart): WaitingPart {
    return { ...part, part: this.#count++, attempt: 1 };
  }
}
