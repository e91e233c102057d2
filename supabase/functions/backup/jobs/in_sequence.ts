/**
 * Several jobs as one: the parts of each stage follow those of the stage before, and any worker can go on
 * with any of them.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import { toJson } from "../core/json.ts";
import type { DonePart, NewPart, PartNumbers, PartOutcome } from "../core/part.ts";
import type { JobDefinition, PartContext } from "./job_definition.ts";

/** One stage. */
export interface Stage {
  /** What users see before the name of a part: `files`. */
  name: string;
  definition: JobDefinition;
  /** Leaves no trace in the result of the whole: it only finds out whether the others may begin. */
  isCheck?: boolean;
}

/** What {@linkcode inSequence} works with. */
export interface InSequenceOptions {
  stages: readonly Stage[];
  /** Whether the stages behind one that failed so are done all the same. */
  goesOnAfter: (error: BackupError) => boolean;
  /** What the result of the whole says besides. */
  about?: Record<string, unknown>;
}

/** Steps of one stage; no definition has so many but for those of pages, which no restore has. */
const STEPS = 10_000;

/** Part of the name that stands between stage and part. */
const BETWEEN = ": ";

/** What checks refuse is told together, when the last of them has ended. */
const REFUSED = "restore_refused";

/** The part that ends a stage and begins the next one, and the last part of all. */
const MARK = "ending-a-stage";
const CONCLUDE = "summing-up-all";

/** A stage at its place. */
interface Placed extends Stage {
  /** Of its steps in the whole. */
  offset: number;
}

/** What became of a stage. Survives JSON. */
interface StageEnd {
  stage: string;
  result: Record<string, unknown> | null;
  failed: {
    code: string;
    message: string;
    hint?: string | undefined;
    details: Record<string, unknown>;
  } | null;
}

/** The first parts of such a job. */
export function firstOfSequence(name: string, first: readonly NewPart[]): NewPart[] {
  return first.map((part) => ({ ...part, name: name + BETWEEN + part.name }));
}

/**
 * The definition of the whole. Its result holds the result of each stage by name.
 *
 * The job fails with `restore_incomplete` when a stage failed and the others went on.
 */
export function inSequence({ stages, goesOnAfter, about = {} }: InSequenceOptions): JobDefinition {
  const sequence = stages.map((stage, at): Placed => ({ ...stage, offset: at * STEPS }));
  const stageOf = (name: string): Placed | undefined =>
    sequence.find((stage) => name.startsWith(stage.name + BETWEEN));
  const begun = async (
    end: StageEnd,
    context: Pick<PartContext, "results">,
  ): Promise<NewPart[]> => {
    const at = sequence.findIndex(({ name }) => name === end.stage);
    const next = sequence[at + 1];
    if (sequence[at]?.isCheck && !next?.isCheck) await refuseTogether(context, end);
    return next === undefined
      ? [{ step: sequence.length * STEPS, name: CONCLUDE, payload: null, bytes: 0 }]
      : next.definition.first().map(outer(next));
  };

  return {
    first: () => sequence[0]!.definition.first().map(outer(sequence[0]!)),
    once: sequence.flatMap((stage) =>
      (stage.definition.once ?? []).map((name) => stage.name + BETWEEN + name)
    ),
    async run(lease, context) {
      const stage = stageOf(lease.name);
      if (lease.name === MARK) {
        const end = lease.payload as unknown as StageEnd;
        return { result: lease.payload, add: await begun(end, context) };
      }
      if (stage === undefined) return await conclude(context, { stages, about });
      const { name, offset, definition } = stage;
      try {
        const outcome = await definition.run(
          { ...lease, step: lease.step - offset, name: lease.name.slice((name + BETWEEN).length) },
          { ...context, ...inner(stage, context) },
        );
        if (outcome.finish) return ended(stage, { result: outcome.finish.result, failed: null });
        const place = outer(stage);
        return {
          ...outcome,
          ...(outcome.add ? { add: outcome.add.map(place) } : {}),
          ...(outcome.split ? { split: outcome.split.map(place) } : {}),
        };
      } catch (thrown) {
        const error = toBackupError(thrown);
        const isTold = stage.isCheck === true && error.code === REFUSED;
        if (!isTold && !goesOnAfter(error)) throw thrown;
        const { code, message, hint, details = {} } = error;
        return ended(stage, { result: null, failed: { code, message, hint, details } });
      }
    },
    async end(how, context) {
      for (const stage of sequence) await stage.definition.end?.(how, inner(stage, context));
    },
    async leave() {
      for (const { definition } of sequence) await definition.leave?.();
    },
  };
}

/** Names and steps of a stage's part, as those of the whole. */
function outer({ name, offset }: Placed): (part: NewPart) => NewPart {
  return (part) => ({ ...part, step: part.step + offset, name: name + BETWEEN + part.name });
}

/** What a stage may ask for, by the names that it knows. */
function inner(
  { name: stage, offset }: Placed,
  context: Pick<PartContext, "results">,
): Pick<PartContext, "results"> {
  return {
    results: async function* (name: string, numbers?: PartNumbers): AsyncIterable<DonePart> {
      for await (const part of context.results(stage + BETWEEN + name, numbers)) {
        yield { ...part, step: part.step - offset, name };
      }
    },
  };
}

/** A stage has ended: what it came to is kept, whatever the name of its last part is. */
function ended({ name, offset }: Placed, end: Omit<StageEnd, "stage">): PartOutcome {
  const payload = toJson({ stage: name, ...end });
  return { result: null, add: [{ step: offset + STEPS - 1, name: MARK, payload, bytes: 0 }] };
}

/** @throws `restore_refused` with all that checks have refused, once none of them is left */
async function refuseTogether(
  { results }: Pick<PartContext, "results">,
  last: StageEnd,
): Promise<void> {
  const ends: StageEnd[] = [];
  for await (const { result } of results(MARK)) ends.push(result as unknown as StageEnd);
  const refused = [...ends, last].flatMap(({ failed }) => failed?.code === REFUSED ? [failed] : []);
  const [first] = refused;
  if (first === undefined) return;
  const hazards = refused.flatMap(({ details }) => details.hazards as unknown[] ?? []);
  throw new BackupError(REFUSED, refused.map(({ message }) => message).join("; "), {
    ...(first.hint === undefined ? {} : { hint: first.hint }),
    details: { ...first.details, hazards },
  });
}

/** @throws `restore_incomplete` when a stage failed */
async function conclude(
  { results }: Pick<PartContext, "results">,
  { stages: all, about }: { stages: readonly Stage[]; about: Record<string, unknown> },
): Promise<PartOutcome> {
  const checks = new Set(all.filter(({ isCheck }) => isCheck).map(({ name }) => name));
  const ends: StageEnd[] = [];
  for await (const { result } of results(MARK)) {
    const end = result as unknown as StageEnd;
    if (!checks.has(end.stage)) ends.push(end);
  }
  const stages = Object.fromEntries(
    ends.map(({ stage, result, failed }) => [stage, failed === null ? { result } : { failed }]),
  );
  const failed = ends.filter((end) => end.failed !== null);
  const summary = ends.flatMap(({ stage, result }) =>
    (result?.summary as string[] | undefined ?? []).map((line) => `${stage}: ${line}`)
  );
  const head = summary.length === 0 ? about : { summary, ...about };
  if (failed.length === 0) return { result: null, finish: { result: { ...head, stages } } };
  throw new BackupError(
    "restore_incomplete",
    `Cannot restore all: ${
      failed.map(({ stage, failed }) => `${stage}: ${failed!.message}`).join("; ")
    }`,
    {
      hint: "The other parts are restored. Mend the cause and restore what failed again.",
      details: { ...about, stages },
    },
  );
}
