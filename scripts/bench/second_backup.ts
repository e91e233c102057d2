/**
 * What a second backup stores after one row in a hundred has changed, beside restic over dumps.
 *
 * @module
 */
import { join } from "../paths.ts";
import { type Bench, folderBytes, runContestant, runSql } from "./bench_context.ts";
import type { BenchCase } from "./cases.ts";
import { backups, type Contestant } from "./contestants.ts";
import { type Measured, runMeasured } from "./run_measured.ts";

interface Step extends Measured {
  storedBytes: number;
}

/** Changes the database; a table of bytes and seconds. */
export async function measureSecondBackup(
  bench: Bench,
  one: BenchCase,
  source: string,
): Promise<string> {
  const own = backups(bench.contestants).find(({ name }) => name.startsWith("backup --jobs 2"))!;
  const restic = await hasRestic();
  const repositories = {
    own: join(bench.folder, "second_own"),
    restic: join(bench.folder, "second_restic"),
  };
  if (restic) await resticRun(bench, repositories.restic, ["init"]);
  const rounds: { own: Step; restic: Step | null }[] = [];
  for (let round = 0; round < 2; round++) {
    if (round === 1) await runSql(bench, one.change, source);
    rounds.push({
      own: await ownStep(bench, own, { source, folder: repositories.own }),
      restic: restic ? await resticStep(bench, { source, folder: repositories.restic }) : null,
    });
  }
  for (const folder of Object.values(repositories)) {
    await Deno.remove(folder, { recursive: true }).catch(ignoreMissing);
  }
  const [first, second] = rounds;
  const row = (name: string, a: Step | null, b: Step | null) =>
    a === null || b === null ? [] : [
      `| ${name} | ${megabytes(a)} | ${a.seconds.toFixed(2)} | ${megabytes(b)} | ${
        b.seconds.toFixed(2)
      } | ${(100 * b.storedBytes / a.storedBytes).toFixed(1)} % |`,
    ];
  return [
    `**A second backup of ${one.name}, after 1 % of the rows changed**`,
    "",
    "| program | first MB | seconds | second MB | seconds | second to first |",
    "| --- | --- | --- | --- | --- | --- |",
    ...row("backup --jobs 2 zstd:1", first!.own, second!.own),
    ...row("pg_dump -Fp, then restic", first!.restic, second!.restic),
  ].join("\n");
}

async function ownStep(
  bench: Bench,
  own: Contestant,
  { source, folder }: { source: string; folder: string },
): Promise<Step> {
  const before = await folderBytes(folder).catch(ignoreMissing) ?? 0;
  const measured = await runContestant(bench, own, { url: bench.server.url(source), folder });
  return { ...measured, storedBytes: await folderBytes(folder) - before };
}

/** restic finds what is the same in an uncompressed dump only. */
async function resticStep(
  bench: Bench,
  { source, folder }: { source: string; folder: string },
): Promise<Step> {
  const dump = join(bench.folder, "second_dump.sql");
  const before = await folderBytes(folder);
  const { postgresBin } = bench.contestants;
  const dumped = await runMeasured({
    program: postgresBin === null ? "pg_dump" : join(postgresBin, "pg_dump"),
    args: ["-f", dump, "-d", bench.server.url(source)],
    serverPid: bench.serverPid,
  });
  const stored = await resticRun(bench, folder, ["backup", "--quiet", dump]);
  await Deno.remove(dump);
  return {
    ...stored,
    seconds: dumped.seconds + stored.seconds,
    storedBytes: await folderBytes(folder) - before,
  };
}

async function resticRun(bench: Bench, folder: string, args: string[]): Promise<Measured> {
  return await runMeasured({
    program: "restic",
    args: ["--repo", folder, "--no-cache", ...args],
    env: { RESTIC_PASSWORD: bench.contestants.key },
    serverPid: bench.serverPid,
  });
}

function megabytes(step: Step): string {
  return (step.storedBytes / 1e6).toFixed(1);
}

async function hasRestic(): Promise<boolean> {
  try {
    return (await new Deno.Command("restic", { args: ["version"], stdout: "null" }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function ignoreMissing(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
