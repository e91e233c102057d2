/**
 * A storage that fails on purpose, for tests of everything that stands on a storage.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "../core/errors.ts";
import type { Storage } from "./storage.ts";

/** What can go wrong with one call. */
export type Fault =
  /** Fails before anything happened. */
  | "error"
  /** Happens, but the answer is lost. */
  | "lost-answer"
  /** The connection is cut in the middle: of a listing after its first object, of the rest before. */
  | "cut"
  /** The storage says no, for good. */
  | "refused"
  /** The storage has no room for it. */
  | "full"
  /** The process is gone: this call and all that follow fail, nothing more is stored. */
  | "death";

const CODES: Record<Fault, ErrorCode> = {
  error: "storage_unreachable",
  "lost-answer": "storage_unreachable",
  cut: "storage_unreachable",
  refused: "storage_refused",
  full: "storage_full",
  death: "storage_refused",
};

/** A call about to be made. */
export interface FaultyCall {
  /** 0, 1, 2 … over all calls of the storage. */
  index: number;
  method: "put" | "get" | "head" | "list" | "delete";
  /** Name, or prefix of a listing. */
  name: string;
}

/** What happens to a call: nothing, a fault, or waiting first. */
export type FaultPlan = (call: FaultyCall) => Fault | null | Promise<Fault | null>;

/** Wraps a storage so that calls fail as planned. A plan that waits makes latency. */
export function faultyStorage(inner: Storage, plan: FaultPlan): Storage {
  let index = 0;
  let dead = false;

  async function strike(method: FaultyCall["method"], name: string): Promise<Fault | null> {
    const fault = dead ? "death" : await plan({ index: index++, method, name });
    if (fault === "death") dead = true;
    return dead ? "death" : fault;
  }

  async function call<T>(
    method: FaultyCall["method"],
    name: string,
    run: () => Promise<T>,
  ): Promise<T> {
    const fault = await strike(method, name);
    if (fault === null) return await run();
    if (fault === "lost-answer") await run();
    throw failure(fault, method, name);
  }

  return {
    location: inner.location,
    put: (name, body, signal) => call("put", name, () => inner.put(name, body, signal)),
    get: (name, range) => call("get", name, () => inner.get(name, range)),
    head: (name, signal) => call("head", name, () => inner.head(name, signal)),
    delete: (name, signal) => call("delete", name, () => inner.delete(name, signal)),
    async *list(prefix, signal) {
      const fault = await strike("list", prefix);
      if (fault !== null && fault !== "cut") throw failure(fault, "list", prefix);
      for await (const object of inner.list(prefix, signal)) {
        yield object;
        if (fault === "cut") throw failure(fault, "list", prefix);
      }
    },
  };
}

function failure(fault: Fault, method: string, name: string): BackupError {
  return new BackupError(CODES[fault], `Cannot ${method} ${name}: injected fault ${fault}`);
}
