/**
 * The service with one synthetic kind of job, for tests of how work is driven: `plan` makes parts that
 * hold the thread or fill memory as told, `finish` counts their results.
 *
 * @module
 */
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { NewPart } from "../../supabase/functions/backup/core/part.ts";
import { createApp } from "../../supabase/functions/backup/http/create_app.ts";
import type { JobDefinition } from "../../supabase/functions/backup/jobs/job_definition.ts";

/** What a synthetic job is told. */
export type SyntheticJob = {
  /** How many parts. */
  parts: number;
  /** Of one of them, in milliseconds of the thread. */
  cpuMs: number;
  /** What one of them says to move. */
  bytes: number;
};

/** The first part of such a job. */
export function firstPart(job: SyntheticJob): NewPart {
  return { step: 0, name: "plan", payload: job, bytes: 0 };
}

const definition: JobDefinition = {
  first: () => [],
  async run(lease, { signal, results }) {
    if (lease.name === "plan") {
      const job = lease.payload as SyntheticJob;
      const parts = Array.from({ length: job.parts }, (_, index) => ({
        step: 1,
        name: "burn",
        payload: { ...job, index },
        bytes: job.bytes,
      }));
      return { result: null, add: [...parts, { step: 2, name: "finish", payload: job, bytes: 0 }] };
    }
    if (lease.name === "burn") {
      const { cpuMs, index } = lease.payload as SyntheticJob & { index: number };
      for (let done = 0; done < cpuMs; done += 20) {
        for (const end = performance.now() + 20; performance.now() < end;);
        await new Promise((resolve) => setTimeout(resolve, 0));
        signal.throwIfAborted();
      }
      return { result: index };
    }
    const seen: number[] = [];
    for await (const { result } of results("burn")) seen.push(result as number);
    const expected = (lease.payload as SyntheticJob).parts;
    const isWhole = new Set(seen).size === expected && seen.length === expected;
    if (!isWhole) throw new BackupError("internal", `Cannot finish: ${seen.length} of ${expected}`);
    return { result: null, finish: { result: { parts: seen.length } } };
  },
};

if (import.meta.main || "EdgeRuntime" in globalThis) {
  const deps = createDeps({ definitionOf: () => Promise.resolve(definition) });
  Deno.serve(createApp(deps).fetch);
}
