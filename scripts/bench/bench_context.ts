/**
 * What all measurements share: the server, the folder, and how a program is run in them.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { EmbeddedPostgres } from "../embedded_postgres.ts";
import { join } from "../paths.ts";
import type { Contestant, ContestantOptions } from "./contestants.ts";
import { type Measured, runMeasured } from "./run_measured.ts";

/** What every measurement needs. */
export interface Bench {
  server: EmbeddedPostgres;
  serverPid: number;
  folder: string;
  contestants: ContestantOptions;
  runs: number;
}

/** Runs a contestant once. */
export async function runContestant(
  bench: Bench,
  contestant: Contestant,
  place: { url: string; folder: string },
): Promise<Measured> {
  return await runMeasured({
    program: contestant.program,
    args: contestant.args(place),
    ...(contestant.env === undefined ? {} : { env: contestant.env }),
    serverPid: bench.serverPid,
  });
}

/** Runs SQL statements of the bench itself. */
export async function runSql(bench: Bench, sql: string, database?: string): Promise<void> {
  const session = await connect({ url: bench.server.url(database) });
  await session.execute(sql).finally(() => session.close());
}

/** Length of all files below a folder. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for await (const item of Deno.readDir(folder)) {
    const path = join(folder, item.name);
    bytes += item.isDirectory ? await folderBytes(path) : (await Deno.stat(path)).size;
  }
  return bytes;
}
