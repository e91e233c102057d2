/**
 * Counts what is asked of Storage and of a bucket of files; see `core/work_count.ts`.
 *
 * @module
 */
import { countWork } from "../core/work_count.ts";
import type { Fetch, FetchInit } from "./direct_fetch.ts";

/** The same, counted: a request that finds no answer has cost its sender as well. */
export function countedFetch(fetch: Fetch): Fetch {
  return async (url, init) => {
    let bytes = sentBytes(init);
    try {
      const answer = await fetch(url, init);
      if (init.method !== "HEAD") bytes += announcedBytes(answer.headers);
      return answer;
    } finally {
      countWork("request", bytes);
    }
  };
}

function sentBytes({ body }: FetchInit): number {
  if (typeof body === "string") return body.length;
  return body instanceof Uint8Array ? body.length : 0;
}

/** An answer without a length is a short one, a row or a page of them. */
function announcedBytes(headers: { get(name: string): string | null }): number {
  const bytes = Number(headers.get("content-length") ?? 0);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : 0;
}
