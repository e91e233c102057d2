/**
 * The process that plays an isolate: what it runs, and what it finds in its environment.
 *
 * @module
 */
import { fileURLToPath } from "../../scripts/paths.ts";
import { DENO_RUN } from "../../scripts/testing/deno_run.ts";
import type { IsolateLimits, PlatformOptions } from "./hosted_platform.ts";

const ISOLATE = new URL("./hosted_isolate.ts", import.meta.url);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What an isolate is made of. */
export interface IsolateParts {
  options: PlatformOptions;
  limits: IsolateLimits;
  /** See {@linkcode writeProgram}. */
  program: string;
  /** Address of the platform. */
  url: string;
}

/** A new isolate's process, not yet running. */
export function isolateCommand({ options, limits, program, url }: IsolateParts): Deno.Command {
  const { variables, hosted = true, deployed } = options;
  const deploymentId = deployed?.deploymentId ?? "local_backup_1";
  const run = deployed === undefined
    ? [...DENO_RUN, heapLimit(limits), "--config", `${ROOT}/deno.json`]
    // Compiled code is not kept between two isolates there.
    : [
      ...["run", "-A", "--no-lock", "--no-check", "--no-config", "--no-code-cache"],
      ...[heapLimit(limits), `--import-map=${deployed.folder}/${deployed.importMap}`],
    ];
  return new Deno.Command(Deno.execPath(), {
    args: [...run, program],
    ...(deployed === undefined ? {} : { cwd: deployed.folder }),
    clearEnv: true,
    env: {
      ...inherited(),
      SUPABASE_URL: url,
      ...(deployed === undefined ? limitVariables(limits) : {}),
      ...(hosted ? { SB_EXECUTION_ID: crypto.randomUUID(), DENO_DEPLOYMENT_ID: deploymentId } : {}),
      ...variables,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

/**
 * The platform tells V8 how large an isolate's heap may become, so that garbage is collected before it counts.
 * One that thinks it has gigabytes lets tens of megabytes of it lie.
 */
function heapLimit({ memoryBytes }: IsolateLimits): string {
  return `--v8-flags=--max-heap-size=${Math.floor(memoryBytes / 2 ** 20)}`;
}

/** Named in an import, the function's modules are found and translated before any code runs. */
export function writeProgram(entry: URL): string {
  const file = Deno.makeTempFileSync({ prefix: "backup_isolate_", suffix: ".ts" });
  const [isolate, front] = [ISOLATE.href, entry.href].map((url) => JSON.stringify(url));
  Deno.writeTextFileSync(
    file,
    `import { play } from ${isolate};\nawait play(() => import(${front}));\n`,
  );
  return file;
}

/** Limits other than the platform's have to be said to the function. */
function limitVariables({ cpuMs, memoryBytes, wallMs }: IsolateLimits): Record<string, string> {
  return {
    BACKUP_WORKER_CPU_SECONDS: String(cpuMs / 1000),
    BACKUP_WORKER_MEMORY_MB: String(Math.floor(memoryBytes / 1024 / 1024)),
    BACKUP_WORKER_WALL_SECONDS: String(Math.round(wallMs / 1000)),
  };
}

/** What a process needs that is not the function's business. */
function inherited(): Record<string, string> {
  const names = ["HOME", "PATH", "DENO_DIR", "TMPDIR", "DENO_TLS_CA_STORE", "XDG_CACHE_HOME"];
  return Object.fromEntries(
    names.map((name) => [name, Deno.env.get(name)] as const)
      .filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}
