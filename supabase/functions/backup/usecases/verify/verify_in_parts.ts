/**
 * A verification as a job in parts: chunks are read back by whoever is free, then the lists of each backup
 * are compared with what was found.
 *
 * @module
 */
import { toJson } from "../../core/json.ts";
import type { Json, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import type { CheckedChunk, Repository, VerifyReport } from "../../repository/mod.ts";

/** What {@linkcode verifyInParts} works with. */
export interface VerifyInPartsOptions {
  repository: Repository;
  /** `quick`: everything referred to is there; `full`: it is also read, decrypted and hashed. */
  level: "quick" | "full";
  /** Ids; none means all. */
  backups: readonly string[];
  /** What else is to be in the report, or an error instead of it. */
  conclude?: (report: VerifyReport) => Promise<VerifyReport>;
}

/** The parts that a verification begins with. */
export const FIRST_OF_VERIFY: readonly NewPart[] = [
  { step: 0, name: "listing-chunks", payload: null, bytes: 0 },
];

const LIST = FIRST_OF_VERIFY[0]!.name;
const READ = "reading-chunks";
const COMPARE = "comparing-lists";

/** Stored bytes and chunks to a part, at most; a single chunk may be larger. */
const PART_BYTES = 16 << 20;
const PART_CHUNKS = 64;

/** Chunks read at once by one part. */
const CONCURRENCY = 2;

/** The definition of one verification; an instance may do any number of its parts. */
export function verifyInParts(options: VerifyInPartsOptions): JobDefinition {
  return {
    first: () => [...FIRST_OF_VERIFY],
    async run(lease, context) {
      if (lease.name === LIST) return await list(options, context);
      if (lease.name === READ) return await read(options, lease.payload, context);
      if (lease.name === COMPARE) return await compare(options, context);
      throw unknownPart(lease.name);
    },
  };
}

async function list(
  { repository, level, backups }: VerifyInPartsOptions,
  { signal }: PartContext,
): Promise<PartOutcome> {
  const compared: NewPart = { step: 2, name: COMPARE, payload: null, bytes: 0 };
  if (level === "quick") return { result: null, add: [compared] };
  const chunks = await repository.chunksToCheck({ ...chosen(backups), signal });
  return { result: null, add: [...groups(chunks), compared] };
}

/** Chunks of one backup lie together: they are mostly read in the order in which they were written. */
function groups(chunks: readonly { name: string; storedBytes: number }[]): NewPart[] {
  const parts: NewPart[] = [];
  let names: string[] = [];
  let bytes = 0;
  const close = () => {
    if (names.length > 0) parts.push({ step: 1, name: READ, payload: names, bytes });
    names = [];
    bytes = 0;
  };
  for (const { name, storedBytes } of chunks) {
    if (names.length >= PART_CHUNKS || bytes + storedBytes > PART_BYTES) close();
    names.push(name);
    bytes += storedBytes;
  }
  close();
  return parts;
}

async function read(
  { repository }: VerifyInPartsOptions,
  payload: Json,
  { signal }: PartContext,
): Promise<PartOutcome> {
  const checked = await repository.checkChunks(payload as string[], {
    concurrency: CONCURRENCY,
    signal,
  });
  const bytes = checked.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  return { result: toJson(checked), bytes };
}

async function compare(
  { repository, level, backups, conclude }: VerifyInPartsOptions,
  { signal, results }: PartContext,
): Promise<PartOutcome> {
  const checked = new Map<string, CheckedChunk>();
  for await (const { result } of results(READ)) {
    for (const chunk of result as unknown as CheckedChunk[]) checked.set(chunk.name, chunk);
  }
  const found = await repository.verify({ level, ...chosen(backups), checked, signal });
  const report = await conclude?.(found) ?? found;
  return { result: null, finish: { result: { ...report } } };
}

function chosen(backups: readonly string[]): { backups?: string[] } {
  return backups.length === 0 ? {} : { backups: [...backups] };
}
