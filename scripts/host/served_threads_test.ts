import assert from "node:assert/strict";
import { servedConnections, servedThreads } from "./served_threads.ts";

Deno.test("a served process has a thread to each processor and a connection to each thread, sixteen at most", () => {
  const machines = [1, 2, 8, 64];
  assert.deepEqual(machines.map((processors) => servedThreads(processors)), [1, 2, 8, 16]);
  assert.deepEqual(machines.map((processors) => servedConnections(processors)), [4, 4, 8, 16]);
});
