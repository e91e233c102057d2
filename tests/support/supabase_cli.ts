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

/** The CLI, ready to run. */
export interface SupabaseCli {
  /** Runs a command on the stand-in's project. @throws with all that it said when it fails */
  run(args: string[], given: { contract: ManagementContract; folder: string }): Promise<CliOutput>;
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
  return { run: (args, given) => run(program, args, given) };
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

async function run(
  program: string,
  args: string[],
  { contract, folder }: { contract: ManagementContract; folder: string },
): Promise<CliOutput> {
  const home = await Deno.makeTempDir({ prefix: "backup_cli_" });
  try {
    // With its list of releases at hand it does not ask for one.
    await Deno.mkdir(join(home, ".supabase"));
    await Deno.writeTextFile(join(home, ".supabase/cli-latest"), `v${RELEASE}`);
    const profile = join(home, "profile.yaml");
    const { hostname } = new URL(contract.url);
    await Deno.writeTextFile(
      profile,
      `name: stand-in\napi_url: ${contract.url}\ndashboard_url: ${contract.url}\nproject_host: ${hostname}\n`,
    );
    const output = await new Deno.Command(program, {
      args: [...args, `--remote=${contract.projectRef}`, "--profile", profile, "--agent", "no"],
      cwd: folder,
      clearEnv: true,
      env: {
        HOME: home,
        PATH: Deno.env.get("PATH") ?? "",
        SUPABASE_ACCESS_TOKEN: CONTRACT_TOKEN,
        SUPABASE_TELEMETRY_DISABLED: "1",
        DO_NOT_TRACK: "1",
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
