/**
 * What the resources of the Management API's stand-in are made of.
 *
 * @module
 */
import type { Operation } from "./document.ts";

/** A request that the document allows. */
export interface ContractRequest {
  params: Record<string, string>;
  query: URLSearchParams;
  headers: Headers;
  /** Parsed JSON; null when the body is something else. */
  // deno-lint-ignore no-explicit-any -- the document has checked it
  json: any;
  form: FormData | null;
  bytes: Uint8Array;
}

/** What a handler answers: JSON by the document, or another body with its type. */
export interface ContractAnswer {
  /** @default the first success that the document has */
  status?: number;
  json?: unknown;
  bytes?: Uint8Array;
  headers?: Record<string, string>;
}

/** Answers one operation. */
export type Handler = (request: ContractRequest) => ContractAnswer | Promise<ContractAnswer>;

/** One resource: its operations by the document's ids. Its state is its own. */
export interface Resource {
  handlers: Record<string, Handler>;
}

/** An answer that is an error: `throw new Refusal(404, "Function not found")`. */
export class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** What goes wrong with a request in place of its answer. */
export type Fault =
  /** The server refuses and does nothing. */
  | { status: number; headers?: Record<string, string>; message?: string }
  /** A success with another body: a page of HTML, broken JSON, undocumented fields. */
  | { text: string; type?: string }
  /** The request is done, and the answer lost on its way. */
  | "lost"
  /** The answer ends in its middle. */
  | "cut"
  /** Nothing ever comes. */
  | "silent";

/** A fault that waits for its request. */
export interface PlannedFault {
  operation: Operation["id"];
  fault: Fault;
  /** Requests that it strikes. */
  times: number;
  /** Requests that it lets pass before. */
  after: number;
}
