/**
 * The real Supabase CLI against the stand-in of the Management API.
 *
 * @module
 */
import { join } from "node:path";
import { CONTRACT_TOKEN, type ManagementContract } from "./management_contract.ts";

/** The release that tests run. */
const RELEASE = "3.1.0";

/** What a command printed. */
export interface CliOutput {
  stdout: string;
  stderr: string;
}

/** Where a command runs and what it speaks to. */
export interface CliRun {
  contract: ManagementContract;
  /** The folder of the project that `supabase/` lies in. */
  folder: string;
  /** A project's ref or a database's address; null leaves it to the command. @default the stand-in's project */
  remote?: string | null;
}

/** The CLI, ready to run. */
export interface SupabaseCli {
  /** Runs a command on the stand-in's project. @throws with all that it said when it fails */
  run(args: string[], given: CliRun): Promise<CliOutput>;
  /** Runs lines of a shell in which `supabase` is the CLI and every question is answered with yes. */
  script(lines: string, given: Omit<CliRun, "remote">): Promise<CliOutput>;
}

/** Gets the CLI from npm by Deno's own cache; or says why there is none here. */
export async function findSupabaseCli(): Promise<SupabaseCli | { missing: string }> {
  const system = ({ linux: "linux", darwin: "darwin" } as Record<string, string>)[Deno.build.os];
  if (system === undefined) return { missing: `no package for ${Deno.build.os}` };
  const name = `@supabase/cli-${system}-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}`;
  const specifier = `npm:${name}@${RELEASE}`;
  const cached = await deno(["cache", "--no-lock", "--no-config", specifier]);
  if (cached === null) return { missing: `${specifier} cannot be loaded` };
  const found = await deno(["info", "--json", "--no-config"]);
  const { npmCache = "" } = JSON.parse(found ?? "{}") as { npmCache?: string };
  const program = await findInCache(npmCache, join(name, RELEASE, "bin/supabase"));
  if (program === null) return { missing: `${specifier} is not where Deno keeps packages` };
  return {
    run(args, { remote, ...given }) {
      const place = remote === undefined ? given.contract.projectRef : remote;
      const all = [...args, ...(place === null ? [] : [`--remote=${place}`])];
      return execute(all, { ...given, program, command: program });
    },
    script: (lines, given) =>
      execute(["-e", "-u", "-c", lines], { ...given, program, command: "sh" }),
  };
}

/** Deno keeps packages in one folder for each place that they come from. */
async function findInCache(npmCache: string, path: string): Promise<string | null> {
  try {
    for await (const { name } of Deno.readDir(npmCache)) {
      const program = join(npmCache, name, path);
      if (await Deno.stat(program).then(({ isFile }) => isFile, () => false)) return program;
    }
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function deno(args: string[]): Promise<string | null> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args,
    stdin: "null",
    stderr: "null",
  }).output();
  return success ? new TextDecoder().decode(stdout) : null;
}

/** Settings of the CLI that every command gets, by the shell's `supabase` or directly. */
const OPTIONS = ["--agent", "no"];

interface Execution extends Omit<CliRun, "remote"> {
  /** The CLI itself. */
  program: string;
  /** What is run: the CLI, or a shell that runs it. */
  command: string;
}

async function execute(
  args: string[],
  { program, command, contract, folder }: Execution,
): Promise<CliOutput> {
  const home = await Deno.makeTempDir({ prefix: "backup_cli_" });
  try {
    const profile = await writeHome(home, contract);
    const options = ["--profile", profile, ...OPTIONS];
    await Deno.writeTextFile(
      join(home, "bin/supabase"),
      `#!/bin/sh\nexec '${program}' "$@" ${options.join(" ")}\n`,
      { mode: 0o755 },
    );
    const output = await new Deno.Command(command, {
      args: command === program ? [...args, ...options] : args,
      cwd: folder,
      clearEnv: true,
      env: {
        HOME: home,
        PATH: `${home}/bin:${Deno.env.get("PATH") ?? ""}`,
        SUPABASE_ACCESS_TOKEN: CONTRACT_TOKEN,
        SUPABASE_TELEMETRY_DISABLED: "1",
        DO_NOT_TRACK: "1",
        ...(command === program ? {} : { SUPABASE_YES: "1" }),
      },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    const [stdout, stderr] = [decoder.decode(output.stdout), decoder.decode(output.stderr)];
    if (output.success) return { stdout, stderr };
    throw new Error(`Cannot run supabase ${args.join(" ")}: ${stdout}\n${stderr}`);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** @returns the profile, which leads to the stand-in */
async function writeHome(home: string, contract: ManagementContract): Promise<string> {
  // With its list of releases at hand it does not ask for one.
  await Deno.mkdir(join(home, ".supabase"));
  await Deno.mkdir(join(home, "bin"));
  await Deno.writeTextFile(join(home, ".supabase/cli-latest"), `v${RELEASE}`);
  const profile = join(home, "profile.yaml");
  const { hostname } = new URL(contract.url);
  await Deno.writeTextFile(
    profile,
    `name: stand-in\napi_url: ${contract.url}\ndashboard_url: ${contract.url}\nproject_host: ${hostname}\n`,
  );
  return profile;
}
