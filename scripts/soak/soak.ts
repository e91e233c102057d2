/**
 * Long trials under enforced hosted limits: `deno task soak --help`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { parseArgs } from "node:util";
import { tryEmptied } from "./emptied.ts";
import { tryFiles } from "./files.ts";
import { type ConsistencyReport, tryConsistency } from "./consistency.ts";
import { type CostBySize, growthOf, measureCost } from "./cost.ts";
import { costPlot, costTable, growthTable } from "./cost_report.ts";
import { type KeepingOptions, type KeepingReport, tryKeeping, tryVerifying } from "./keeping.ts";
import { sumOf, tryKills } from "./kills.ts";
import { type ManyTablesReport, tryManyTables } from "./many_tables.ts";
import { endInOrder } from "./on_interrupt.ts";
import { startSoakServer } from "./soak_server.ts";

const HELP =
  `deno task soak TRIAL: tries the service as a function of the platform, whose limits kill

  consistency   saves and restores a database in which a bank is at work
  kills         saves and restores again and again while workers are killed at random
  cost          measures what a backup and a restore cost, by size
  keeping       rebuilds the tables, answers, cleans up and verifies with a long history of backups
  verify        reads all that such a history has, and again after chunks were lost
  files         saves many small files of Storage, saves them again and restores all of them
  tables        saves and restores a schema of very many tables; with --emptied also over the emptied
                database itself
  emptied       saves a database, empties its tables and posts the trigger that restores them; then empties
                them again, loses the restore half way, and posts it once more

  --size …      size of the database in the server, as 300MB or 1GB; several by commas for cost
                (default 100MB; kills 30MB; cost 10MB,100MB,1GB)
  --backups …   of keeping and verify: backups that there are (default 3000)
  --chunks …    of keeping and verify: chunks with their rows (default 100000)
  --files …     of files: how many (default 20000), each of 10 kB
  --tables …    of tables: how many (default 4000)
  --kills …     random kills: in each job of consistency (default 8), in all of kills (default 200)
  --seed …      of everything random (default 1)
  --lanes …     trials of kills at a time, each with a server of its own (default 4)
  --stand-in    play pg_cron, also where Debian's is installed; kills and cost always do
  --plot …      writes the plot of cost into this file

Sizes are about what is asked for; reports say the real ones. Needs disk for four times the size.`;

const startedAt = performance.now();

async function main(): Promise<number> {
  const { positionals: [trial], values } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: "boolean" },
      size: { type: "string" },
      kills: { type: "string" },
      seed: { type: "string", default: "1" },
      lanes: { type: "string", default: "4" },
      "stand-in": { type: "boolean", default: false },
      plot: { type: "string" },
      backups: { type: "string", default: "3000" },
      chunks: { type: "string", default: "100000" },
      tables: { type: "string", default: "4000" },
      emptied: { type: "boolean", default: false },
      files: { type: "string", default: "20000" },
    },
  });
  const seed = Number(values.seed);
  switch (values.help ? "help" : trial) {
    case "consistency":
      return await consistency({
        ...{ bytes: toBytes(values.size ?? "100MB"), kills: Number(values.kills ?? 8), seed },
        pgCron: !values["stand-in"],
      });
    case "kills":
      return await kills({
        ...{ bytes: toBytes(values.size ?? "30MB"), kills: Number(values.kills ?? 200), seed },
        lanes: Number(values.lanes),
      });
    case "keeping":
    case "verify":
      return await keeping(trial === "verify" ? tryVerifying : tryKeeping, {
        ...{ backups: Number(values.backups), chunks: Number(values.chunks) },
      });
    case "files":
      return await files(Number(values.files));
    case "tables":
      return await manyTables({ tables: Number(values.tables), emptied: values.emptied === true });
    case "emptied":
      return await emptied(toBytes(values.size ?? "100MB"));
    case "cost":
      return await cost((values.size ?? "10MB,100MB,1GB").split(",").map(toBytes), values.plot);
    default:
      console.log(HELP);
      return trial === undefined || values.help ? 0 : 2;
  }
}

async function consistency(
  { bytes, kills, seed, pgCron }: { bytes: number; kills: number; seed: number; pgCron: boolean },
): Promise<number> {
  await using server = await startSoakServer({ pgCron });
  await server.emptyTarget();
  say(server.title);
  const report = await tryConsistency({ ...server, bytes, seed, kills, onStep: say });
  console.log(describeConsistency(report));
  return conclude(report.problems);
}

function describeConsistency(report: ConsistencyReport): string {
  const { databaseBytes, load, kills, peakMemoryBytes, peakResidentBytes } = report;
  const jobs = (["backup", "restore"] as const).map((name) => {
    const { seconds, figures, storageCalls } = report[name];
    const { cpu, memory, wall_clock } = figures.ended;
    return `${name}: ${seconds.toFixed(0)} s, ${figures.isolates} workers, ` +
      `${
        kills[name]
      } killed at random, ${cpu} for CPU, ${memory} for memory, ${wall_clock} for time; ` +
      `${(figures.cpuMs / 1000).toFixed(1)} CPU-seconds, ${storageCalls} storage calls`;
  });
  const { strategy } = (report.backup.job.result as { consistency: { strategy: string } })
    .consistency;
  return [
    `database: ${inMegabytes(databaseBytes)} MB; the moment was held by the ${strategy}`,
    `meanwhile: ${load.transfers} transfers, ${load.changes} changes of structure, ` +
    `${load.waited} more gave way to the backup's locks`,
    ...jobs,
    `peak of a worker: ${inMegabytes(peakMemoryBytes)} MB, resident ${
      inMegabytes(peakResidentBytes)
    } MB`,
  ].join("\n");
}

async function kills(
  { bytes, kills, seed, lanes }: { bytes: number; kills: number; seed: number; lanes: number },
): Promise<number> {
  const reports = await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
    await using server = await startSoakServer({ pgCron: false });
    const report = await tryKills({
      ...{ server, bytes, kills: Math.ceil(kills / lanes), seed: seed + lane },
      onStep: (step) => say(`lane ${lane + 1}, ${step}`),
    });
    return report;
  }));
  const { problems, ...sum } = sumOf(reports);
  console.log(JSON.stringify(sum));
  return conclude(problems);
}

async function keeping(
  run: (options: KeepingOptions) => Promise<KeepingReport>,
  size: { backups: number; chunks: number },
): Promise<number> {
  await using server = await startSoakServer({ pgCron: false });
  return concludeSteps(await run({ ...server, ...size, onStep: say }));
}

async function files(count: number): Promise<number> {
  await using server = await startSoakServer({ pgCron: false });
  return concludeSteps(await tryFiles({ ...server, files: count, onStep: say }));
}

function concludeSteps(report: KeepingReport): number {
  for (const { what, cpuMs, seconds, isolates, storageCalls } of report.steps) {
    console.log(
      `${what}: ${
        (cpuMs / 1000).toFixed(2)
      } CPU-seconds, ${seconds} s, ${isolates} workers started, ` +
        `${storageCalls} storage calls`,
    );
  }
  const peaks = [report.peakMemoryBytes, report.peakResidentBytes].map(inMegabytes);
  console.log(`peak of a worker: ${peaks[0]} MB, resident ${peaks[1]} MB`);
  return conclude(report.problems);
}

async function manyTables(size: { tables: number; emptied: boolean }): Promise<number> {
  await using server = await startSoakServer({ pgCron: false });
  await server.emptyTarget();
  say(server.title);
  const report = await tryManyTables({ ...server, ...size, onStep: say });
  console.log(describeTables(report));
  return conclude(report.problems);
}

function describeTables(report: ManyTablesReport): string {
  const { backup, restore, emptied, entries, peaks } = report;
  const all = [["backup", backup], ["restore", restore], ["over the emptied", emptied]] as const;
  const jobs = all.flatMap(([name, job]) => {
    if (job === null) return [];
    const { cpu, memory, wall_clock } = job.figures.ended;
    return `${name}: ${job.seconds.toFixed(0)} s, ${job.figures.isolates} workers, ` +
      `${(job.figures.cpuMs / 1000).toFixed(1)} CPU-seconds, ${job.storageCalls} storage calls; ` +
      `${cpu} killed for CPU, ${memory} for memory, ${wall_clock} for time`;
  });
  return [
    `${entries} entries`,
    ...jobs,
    `peak of a worker up to the end of each: ${peaks.map(inMegabytes).join(", ")} MB`,
  ].join("\n");
}

async function emptied(bytes: number): Promise<number> {
  await using server = await startSoakServer({ pgCron: false });
  say(server.title);
  const { databaseBytes, recovery, completion, peakMemoryBytes, problems } = await tryEmptied({
    ...{ ...server, bytes, onStep: say },
  });
  for (const { seconds, figures, storageCalls } of [recovery, completion]) {
    const { cpu, memory, wall_clock } = figures.ended;
    console.log(
      `${inMegabytes(databaseBytes)} MB: ${seconds.toFixed(0)} s, ${figures.isolates} workers, ` +
        `${(figures.cpuMs / 1000).toFixed(1)} CPU-seconds, ${storageCalls} storage calls; ` +
        `${cpu} killed for CPU, ${memory} for memory, ${wall_clock} for time; ` +
        `peak of a worker: ${inMegabytes(peakMemoryBytes)} MB`,
    );
  }
  return conclude(problems);
}

async function cost(sizes: readonly number[], plot: string | undefined): Promise<number> {
  const measured: CostBySize[] = [];
  for (const bytes of sizes) {
    await using server = await startSoakServer({ pgCron: false });
    measured.push(await measureCost(server, bytes));
    say(JSON.stringify(measured.at(-1)));
    // After each: a size that fails at last must not take the others along.
    if (plot !== undefined && measured.length > 1) {
      await Deno.writeTextFile(plot, costPlot(measured));
    }
    console.log(`\n${costTable(measured)}\n`);
  }
  const growth = growthOf(measured);
  if (growth.length > 0) console.log(`${growthTable(growth)}\n`);
  return conclude(
    growth.filter(({ within }) => !within).map(({ figure }) => `${figure} grows out of proportion`),
  );
}

function conclude(problems: readonly string[]): number {
  for (const problem of problems) console.log(`WRONG: ${problem}`);
  console.log(problems.length === 0 ? "all well" : `${problems.length} problems`);
  return problems.length === 0 ? 0 : 1;
}

function say(step: string): void {
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${step}`);
}

function toBytes(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(MB|GB)$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`Cannot read the size ${text}: say it as 300MB or 1GB`);
  return Number(number) * (unit === "GB" ? 1e9 : 1e6);
}

function inMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

endInOrder();
Deno.exit(await main());
