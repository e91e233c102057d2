/**
 * A job that is a single part, for work that cannot be cut or is small.
 *
 * @module
 */
import type { JobOutcome, NewPart } from "../core/part.ts";
import type { JobDefinition, PartContext } from "./job_definition.ts";

/** The parts that such a job begins with. @param name what users see as its phase, with hyphens */
export function onePart(name: string): NewPart[] {
  return [{ step: 0, name, payload: null, bytes: 0 }];
}

/** The job that does `work` and is done. */
export function defineOnePart(
  name: string,
  work: (context: PartContext) => Promise<JobOutcome>,
  { once = false }: { once?: boolean } = {},
): JobDefinition {
  return {
    ...(once ? { once: [name] } : {}),
    first: () => onePart(name),
    run: async (_lease, context) => ({ result: null, finish: await work(context) }),
  };
}
