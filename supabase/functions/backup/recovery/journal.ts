/**
 * The journal of an execution in storage: what began and what ended, each an object that is never changed.
 * It is written before the tables and outlives them.
 *
 * @module
 */
import { toBackupError } from "../core/errors.ts";
import type { Execution, RecoveryPlan, StepRecord } from "../core/recovery.ts";
import type { Repository } from "../repository/mod.ts";
import type { Deps } from "../usecases/deps.ts";
import { type ExecutionEnd, type ExecutionStart, newExecution, withStep } from "./execution.ts";

/** Folder of all journals. */
const EXECUTIONS = "executions";

/** What writing needs. */
type JournalDeps = Pick<Deps, "settings" | "openRepository" | "reportError">;

/** Writes the journal of one execution. A storage that is out of reach does not stand in its way. */
export class Journal {
  readonly #deps: JournalDeps;
  readonly #executionId: string;
  #repository: Promise<Repository> | null = null;

  constructor(deps: JournalDeps, executionId: string) {
    this.#deps = deps;
    this.#executionId = executionId;
  }

  /** The beginning. @returns whether storage has it */
  async begin(start: Omit<ExecutionStart, "journaled">): Promise<boolean> {
    return await this.#put("begin", { format: 1, ...start }) !== "out of reach";
  }

  /** A step begins. @param at its place in the order of the run */
  async stepBegins(at: number, { stepId, startedAt }: StepRecord): Promise<void> {
    await this.#put(nameOf(at, stepId, "begin"), { stepId, startedAt });
  }

  /** A step has ended. @returns how it ended first, where somebody wrote that down before */
  async stepEnds(at: number, record: StepRecord): Promise<StepRecord> {
    return await this.#putFirst(nameOf(at, record.stepId, "end"), record);
  }

  /** How a step ended; null when the journal does not know it. */
  async endOfStep(at: number, stepId: string): Promise<StepRecord | null> {
    return await this.#read<StepRecord>(nameOf(at, stepId, "end"));
  }

  /** The end. @returns how it ended first, where somebody wrote that down before */
  async end(end: ExecutionEnd): Promise<ExecutionEnd> {
    return await this.#putFirst("end", end);
  }

  async #putFirst<T>(name: string, value: T): Promise<T> {
    if (await this.#put(name, value) !== "there") return value;
    return await this.#read<T>(name) ?? value;
  }

  async #put(name: string, value: unknown): Promise<"created" | "there" | "out of reach"> {
    const written = await this.#attempt(`write ${name}`, async (repository) => {
      const document = { name: `${EXECUTIONS}/${this.#executionId}/${name}`, value };
      return (await repository.writeDocument(document)).created ? "created" : "there";
    });
    return written ?? "out of reach";
  }

  #read<T>(name: string): Promise<T | null> {
    return this.#attempt(
      `read ${name}`,
      (repository) => readOrNull<T>(repository, `${EXECUTIONS}/${this.#executionId}/${name}`),
    );
  }

  /** Null when the storage is out of reach, not set up, or does not open; the log says why. */
  async #attempt<T>(
    about: string,
    work: (repository: Repository) => Promise<T>,
  ): Promise<T | null> {
    try {
      this.#repository ??= this.#open();
      return await work(await this.#repository);
    } catch (error) {
      this.#repository = null; // the next word is tried from the beginning
      this.#deps.reportError(toBackupError(error), `journal of ${this.#executionId}: ${about}`);
      return null;
    }
  }

  async #open(): Promise<Repository> {
    const { settings } = await this.#deps.settings();
    return await this.#deps.openRepository(settings);
  }
}

/** An execution as its journal tells it. */
export interface JournaledExecution {
  execution: Execution;
  plan: RecoveryPlan;
}

/** Ids of all executions that have a journal, in order of time. */
export async function journaledIds(repository: Repository): Promise<string[]> {
  return [...(await journaledNames(repository)).keys()].sort();
}

/** The documents of each journal, by the execution's id. */
export async function journaledNames(repository: Repository): Promise<Map<string, string[]>> {
  const names: string[] = await Array.fromAsync(repository.listDocuments(EXECUTIONS));
  return Map.groupBy(names, (name) => name.split("/")[1]!);
}

/** Null when there is no journal of the id. @throws the `object_*` codes, `storage_*` */
export async function readJournal(
  repository: Repository,
  executionId: string,
): Promise<JournaledExecution | null> {
  const folder = `${EXECUTIONS}/${executionId}`;
  const start = await readOrNull<Omit<ExecutionStart, "journaled">>(repository, `${folder}/begin`);
  if (start === null) return null;
  let execution = newExecution({ ...start, journaled: true });
  for await (const name of repository.listDocuments(folder)) {
    if (!/\/\d{2}-.*-end$/.test(name)) continue;
    execution = withStep(execution, await repository.readDocument(name) as StepRecord);
  }
  const end = await readOrNull<ExecutionEnd>(repository, `${folder}/end`);
  return { execution: { ...execution, ...end }, plan: start.plan };
}

async function readOrNull<T>(repository: Repository, name: string): Promise<T | null> {
  try {
    return await repository.readDocument(name) as T;
  } catch (error) {
    if (toBackupError(error).code === "object_missing") return null;
    throw error;
  }
}

function nameOf(at: number, stepId: string, what: "begin" | "end"): string {
  return `${String(at + 1).padStart(2, "0")}-${stepId}-${what}`;
}
