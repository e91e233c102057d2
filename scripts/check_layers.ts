/**
 * Proves that imports run downwards, without cycles, and that the function's code has no computed
 * imports (deployment reads literal ones only). Prints what is wrong and ends with 1, or ends with 0.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { ROOT } from "./embedded_postgres.ts";
import { dirname, join } from "./paths.ts";

/** Floors from the roof down; a file imports from its own folder or from lower floors. */
const FLOORS: readonly (readonly string[])[] = [
  ["index", "create_deps", "create_project", "open_settings", "define_job", "scripts", "tests"],
  ["http"],
  ["actions"],
  ["recovery", "schedule"],
  ["usecases"],
  ["jobs", "dump", "restore", "changes", "repository", "project", "notify", "state"],
  ["storage", "postgres"],
  ["core"],
];

/** Read by anyone above the ground floor's neighbours: the environment belongs to the roof. */
const ROOF_FILES = ["config"];

/** Folders that others enter by `mod.ts` only, theirs or that of a folder in them. */
const DOORS = ["dump", "restore", "repository", "project", "notify"];

const FUNCTION = "supabase/functions/backup";

/** A file with what it imports, both as paths from the root. */
export interface SourceFile {
  path: string;
  imports: string[];
  /** Those that exist at run time: types alone cannot make a cycle of loading. */
  loads: string[];
  computedImports: number;
}

/** Everything wrong, in words. */
export function findViolations(files: readonly SourceFile[]): string[] {
  const problems: string[] = [];
  for (const file of files) {
    const from = placeOf(file.path);
    if (file.path.startsWith(FUNCTION) && file.computedImports > 0 && !isTest(file.path)) {
      problems.push(`${file.path}: has a computed import()`);
    }
    for (const target of file.imports) {
      const to = placeOf(target);
      if (from.folder === to.folder) continue;
      if (isTest(file.path)) continue; // a test stands on the roof, wherever its file lies
      if (to.floor < from.floor) problems.push(`${file.path}: imports upwards, ${target}`);
      else if (to.floor === from.floor && from.floor > 0) {
        problems.push(`${file.path}: imports its neighbour ${target}`);
      }
      if (DOORS.includes(to.folder) && from.floor > 0 && !target.endsWith("/mod.ts")) {
        problems.push(`${file.path}: enters ${to.folder} beside its door, ${target}`);
      }
    }
  }
  return [...problems, ...findCycles(files)];
}

function placeOf(path: string): { folder: string; floor: number } {
  const inside = path.startsWith(`${FUNCTION}/`) ? path.slice(FUNCTION.length + 1) : path;
  const folder = (inside.split("/")[0] as string).replace(/(_test)?\.ts$/, "");
  if (ROOF_FILES.includes(folder)) return { folder, floor: 0 };
  const floor = FLOORS.findIndex((names) => names.includes(folder));
  if (floor < 0) throw new Error(`Cannot place ${path}: no floor has ${folder}`);
  return { folder, floor };
}

function isTest(path: string): boolean {
  return path.endsWith("_test.ts") || path.startsWith("tests/");
}

function findCycles(files: readonly SourceFile[]): string[] {
  const importsOf = new Map(files.map((file) => [file.path, file.loads]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: string[]) => {
    const at = trail.indexOf(path);
    if (at >= 0) return void cycles.push(`cycle: ${[...trail.slice(at), path].join(" → ")}`);
    if (done.has(path)) return;
    for (const next of importsOf.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const file of files) visit(file.path, []);
  return cycles;
}

/** What a file imports, by its text: this project has literal, relative imports in double quotes only. */
export function readImports(source: string, path: string): SourceFile {
  const code = source.replace(/^\s*(\*|\/\*|\/\/).*$/gm, ""); // comments hold examples
  const resolve = (specifier: string) => join(dirname(path), specifier);
  const statements = [
    ...code.matchAll(/\b(import|export)\b(\s+type\b)?[^"';()]*?\bfrom\s*"(\.{1,2}\/[^"]+)"/g),
  ].map((match) => ({ typeOnly: match[2] !== undefined, target: resolve(match[3] as string) }));
  const effects = [...code.matchAll(/\bimport\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)]
    .map((match) => resolve(match[1] as string));
  return {
    path,
    imports: [...statements.map((one) => one.target), ...effects],
    loads: [...statements.filter((one) => !one.typeOnly).map((one) => one.target), ...effects],
    computedImports: [...code.matchAll(/[^.\w]import\s*\(\s*[^"\s]/g)].length,
  };
}

async function* walk(folder: string): AsyncGenerator<string> {
  for await (const item of Deno.readDir(join(ROOT, folder))) {
    const path = `${folder}/${item.name}`;
    if (item.isDirectory) yield* walk(path);
    else if (item.name.endsWith(".ts")) yield path;
  }
}

if (import.meta.main) {
  const files: SourceFile[] = [];
  for (const folder of [FUNCTION, "scripts", "tests"]) {
    for await (const path of walk(folder)) {
      files.push(readImports(await Deno.readTextFile(join(ROOT, path)), path));
    }
  }
  const problems = findViolations(files);
  for (const problem of problems) console.error(problem);
  console.log(`${files.length} files, ${problems.length} against the layers`);
  Deno.exit(problems.length === 0 ? 0 : 1);
}
