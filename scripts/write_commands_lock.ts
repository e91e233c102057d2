/**
 * Writes `commands.lock`: what `deno.lock` has of the packages that the commands and the function load. A command
 * that starts with the whole of it waits while the runtime reads what the registry says of every package there,
 * of which most serve the tests. With `--check` it changes nothing and ends with 1 when the file is out of date.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { ROOT } from "./embedded_postgres.ts";
import { join } from "./paths.ts";

/** Where the code of the commands is, besides their own programs. */
const FOLDERS = ["supabase/functions/backup", "scripts/cli", "scripts/host"];

/** Imports of packages: at once, by name alone or in full, and later. */
const IMPORTS = /(?:from|import\(?)\s*"([^"./][^"]*)"/g;

/** A lock file of the runtime, version 4. */
interface Lock {
  version: string;
  specifiers: Record<string, string>;
  /** By name and version, behind which there may be those of peers. */
  npm: Record<string, { integrity: string; dependencies?: string[] }>;
}

/** The part of a lock that packages need, with what they depend on. @throws {Error} for one that it lacks */
export function lockOf(lock: Lock, packages: ReadonlySet<string>): Lock {
  const wanted = new Set<string>();
  const waiting = Object.keys(lock.npm).filter((key) => packages.has(nameOf(key)));
  for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
    if (wanted.has(key)) continue;
    wanted.add(key);
    for (const dependency of lock.npm[key]!.dependencies ?? []) {
      waiting.push(...keysOf(lock, dependency));
    }
  }
  const found = new Set([...wanted].map(nameOf));
  const absent = [...packages].filter((name) => !found.has(name));
  if (absent.length > 0) throw new Error(`deno.lock lacks ${absent.join(", ")}`);
  const isOfThem = ([specifier]: [string, unknown]) =>
    packages.has(nameOf(specifier.replace(/^npm:/, "")));
  return {
    version: lock.version,
    specifiers: Object.fromEntries(Object.entries(lock.specifiers).filter(isOfThem)),
    npm: Object.fromEntries(Object.entries(lock.npm).filter(([key]) => wanted.has(key))),
  };
}

/** A dependency is a whole key, or what the key of the only such package begins with. */
function keysOf({ npm }: Lock, dependency: string): string[] {
  if (npm[dependency] !== undefined) return [dependency];
  const keys = Object.keys(npm).filter((key) =>
    key.startsWith(`${dependency}_`) || nameOf(key) === dependency
  );
  if (keys.length === 0) throw new Error(`deno.lock lacks ${dependency}`);
  return keys;
}

/** `@scope/name` of `@scope/name@1.0.0`. */
function nameOf(key: string): string {
  const end = key.indexOf("@", 1);
  return end < 0 ? key : key.slice(0, end);
}

/** Names of the packages that the commands' code imports, now or later. */
async function packagesOfCommands(): Promise<Set<string>> {
  const { imports } = JSON.parse(await Deno.readTextFile(join(ROOT, "import_map.json"))) as {
    imports: Record<string, string>;
  };
  const names = new Set<string>();
  for (const file of await filesOfCommands()) {
    const text = await Deno.readTextFile(file);
    for (const [, specifier = ""] of text.matchAll(IMPORTS)) {
      const target = imports[specifier] ?? specifier;
      if (target.startsWith("npm:")) names.add(nameOf(target.slice("npm:".length)));
    }
  }
  return names;
}

async function filesOfCommands(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))) as {
    tasks: Record<string, string>;
  };
  const programs = Object.values(tasks).filter((task) => task.includes("--lock=commands.lock"))
    .map((task) => join(ROOT, task.split(" ").at(-1)!));
  const folders = FOLDERS.map((folder) => Array.fromAsync(sources(join(ROOT, folder))));
  return [...programs, ...(await Promise.all(folders)).flat()];
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* sources(join(folder, name));
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) yield join(folder, name);
  }
}

if (import.meta.main) {
  const whole = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.lock"))) as Lock;
  const text = `${JSON.stringify(lockOf(whole, await packagesOfCommands()), null, 2)}\n`;
  const file = join(ROOT, "commands.lock");
  const present = await Deno.readTextFile(file).catch(() => "");
  if (present !== text) {
    if (Deno.args.includes("--check")) {
      console.error("commands.lock is out of date: deno run -A scripts/write_commands_lock.ts");
      Deno.exit(1);
    }
    await Deno.writeTextFile(file, text);
  }
}
