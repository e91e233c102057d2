import assert from "node:assert/strict";
import { systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import type { NewPart } from "../core/part.ts";
import { firstOfSequence, inSequence } from "./in_sequence.ts";
import type { JobDefinition } from "./job_definition.ts";
import { runInProcess } from "./run_in_process.ts";

/** Three parts, the second ones of which say in which order they ran; the last one sums them up. */
function stage(log: string[], name: string, failure?: BackupError): JobDefinition {
  const part = (step: number, name: string, payload: number): NewPart => ({
    ...{ step, name, payload, bytes: 0 },
  });
  return {
    first: () => [part(0, "begin", 0)],
    once: ["end"],
    async run(lease, { results }) {
      log.push(`${name} ${lease.name} ${lease.step}`);
      if (lease.name === "begin") {
        return { result: 1, add: [part(1, "work", 1), part(1, "work", 2), part(2, "end", 0)] };
      }
      if (lease.name === "work") return { result: lease.payload };
      if (failure !== undefined) throw failure;
      const found = await Array.fromAsync(results("work"));
      assert.ok(found.every(({ step, name }) => step === 1 && name === "work"));
      const sum = found.reduce((sum, { result }) => sum + Number(result), 0);
      return { result: null, finish: { result: { sum } } };
    },
    end: (how) => Promise.resolve(void log.push(`${name} ${how}`)),
  };
}

const run = (definition: JobDefinition) =>
  runInProcess(definition, {
    job: {
      ...{ jobId: "restore_1", kind: "restore", type: "database", backupId: null },
      ...{ reason: null, createdBy: null },
    },
    clock: systemClock,
    concurrency: 2,
  });

Deno.test("inSequence() does stage after stage and gives the result of each", async () => {
  const log: string[] = [];
  const definition = inSequence({
    stages: ["one", "two"].map((name) => ({ name, definition: stage(log, name) })),
    goesOnAfter: () => false,
  });
  const { result } = await run(definition);
  assert.deepEqual(result, {
    stages: { one: { result: { sum: 3 } }, two: { result: { sum: 3 } } },
  });
  assert.deepEqual(log, [
    ...["one begin 0", "one work 1", "one work 1", "one end 2"],
    ...["two begin 0", "two work 1", "two work 1", "two end 2"],
    ...["one completed", "two completed"],
  ]);
  assert.deepEqual(definition.once, ["one: end", "two: end"]);
  const [first] = stage([], "one").first();
  assert.deepEqual(firstOfSequence("one", [first!]), definition.first());
});

Deno.test("inSequence() goes on after failures that it may go on after, and ends as failed", async () => {
  for (const code of ["restore_incomplete", "restore_mismatch"] as const) {
    const log: string[] = [];
    const definition = inSequence({
      stages: [
        { name: "one", definition: stage(log, "one", new BackupError(code, "Cannot", {})) },
        { name: "two", definition: stage(log, "two") },
      ],
      goesOnAfter: (error) => error.code === "restore_incomplete",
    });
    await assert.rejects(run(definition), (error: BackupError) => error.code === code);
    assert.equal(log.includes("two end 2"), code === "restore_incomplete");
  }
});

Deno.test("inSequence() does checks first, tells together what they refuse, and keeps them out of the result", async () => {
  const log: string[] = [];
  const definition = inSequence({
    stages: [
      { name: "ahead", definition: stage(log, "ahead"), isCheck: true },
      { name: "one", definition: stage(log, "one") },
    ],
    goesOnAfter: () => false,
    about: { pointId: "point_1" },
  });
  const { result } = await run(definition);
  assert.deepEqual(result, { pointId: "point_1", stages: { one: { result: { sum: 3 } } } });
  assert.equal(log[0], "ahead begin 0");

  const refusal = (key: string) =>
    new BackupError("restore_refused", `Cannot restore ${key}`, {
      ...{ hint: "Accept it.", details: { hazards: [key] } },
    });
  const refused: string[] = [];
  const refusing = inSequence({
    stages: [
      { name: "ahead", definition: stage(refused, "ahead", refusal("a")), isCheck: true },
      { name: "sound", definition: stage(refused, "sound"), isCheck: true },
      { name: "last", definition: stage(refused, "last", refusal("b")), isCheck: true },
      { name: "one", definition: stage(refused, "one") },
    ],
    goesOnAfter: () => false,
  });
  await assert.rejects(run(refusing), {
    ...{ code: "restore_refused", message: "Cannot restore a; Cannot restore b" },
    ...{ hint: "Accept it.", details: { hazards: ["a", "b"] } },
  });
  assert.ok(!refused.includes("one begin 0"));
});
