import assert from "node:assert/strict";
import { threadsWithin } from "./threads_within.ts";

const within = (megabytes: number, kind: "copy" | "load", asked: number) =>
  threadsWithin({ count: () => megabytes }, { kind, asked });

Deno.test("threadsWithin() gives all jobs that fit, and says nothing of it", () => {
  assert.deepEqual(within(500, "copy", 4), { jobs: 4, threads: 4, note: null });
  assert.deepEqual(within(500, "load", 6), { jobs: 6, threads: 3, note: null });
});

Deno.test("threadsWithin() gives fewer where all would need more memory, and says what all need", () => {
  const { jobs, note } = within(500, "copy", 16);
  assert.equal(jobs, 4);
  assert.match(
    note!,
    /4 connections at a time instead of 16, .* 500 MB; say --memory 1390 for all/,
  );
  assert.deepEqual(within(1390, "copy", 16), { jobs: 16, threads: 16, note: null });
  assert.equal(within(500, "load", 7).jobs, 6);
});

Deno.test("threadsWithin() leaves one, however little memory there is", () => {
  const { jobs, threads, note } = within(1, "copy", 2);
  assert.deepEqual([jobs, threads], [1, 0]);
  assert.match(note!, /over 1 connection at a time/);
  assert.deepEqual(within(1, "load", 2), { jobs: 2, threads: 0, note: null });
  assert.equal(within(1, "load", 3).jobs, 2);
});

Deno.test("threadsWithin() gives each processor one if nothing is said, as far as they fit", () => {
  const of = (processors: number, megabytes = 5000) =>
    threadsWithin({ count: () => megabytes }, { kind: "copy", asked: undefined, processors });
  assert.deepEqual([1, 2, 8, 64].map((processors) => of(processors).jobs), [2, 2, 8, 16]);
  assert.deepEqual(of(64, 500), { jobs: 4, threads: 4, note: null });
});
