/**
 * An Edge Function as a backup keeps it: its contents and facts, and what follows from them.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { ItemContent, ItemFacts, SavedItem } from "../core/items.ts";
import { type DeployedFunction, deployedFunction } from "./function_calls.ts";

/** Content that holds the bundle. */
export const BUNDLE = "bundle";

/** Contents that hold source files: this and the path. */
export const SOURCE_PREFIX = "source/";

/** What a backup adds to what the API says of a function. */
export interface FunctionFacts extends ItemFacts {
  /** Paths of the entry point and the import map; null when there are no source files. */
  source: { entrypoint: string; importMap: string | null } | null;
  /** Static files inside the bundle; null when the bundle could not be looked into. */
  staticFiles: string[] | null;
  /** What is not in the backup, or only in the bundle, in words. */
  notSaved: string[];
}

/** Source files from which a function can be deployed again. */
export interface WholeSources {
  entrypoint: string;
  importMap: string | null;
  staticFiles: string[];
  contents: ItemContent[];
}

/** The function's bundle; undefined when the backup has none. */
export function savedBundle(item: SavedItem): ItemContent | undefined {
  return item.contents.find(({ name }) => name === BUNDLE);
}

/** The sources, if everything that a deployment needs is among them; else null. */
export function wholeSources(item: SavedItem): WholeSources | null {
  const { source, staticFiles, import_map } = item.facts as Partial<FunctionFacts>;
  const contents = item.contents.filter(({ name }) => name.startsWith(SOURCE_PREFIX));
  const paths = contents.map(({ name }) => name.slice(SOURCE_PREFIX.length));
  if (!source || !staticFiles || !paths.includes(source.entrypoint)) return null;
  const { entrypoint, importMap } = source;
  if (importMap === null ? import_map === true : !paths.includes(importMap)) return null;
  const found = staticFiles.map((file) => paths.find((path) => isSameFile(path, file)));
  if (found.includes(undefined)) return null;
  return { entrypoint, importMap, staticFiles: found as string[], contents };
}

/** Bundle and sources may begin their paths at different folders. */
function isSameFile(a: string, b: string): boolean {
  return a === b || a.endsWith(`/${b}`) || b.endsWith(`/${a}`);
}

/** What the API said of it. @throws `repository_format` when the facts are not those of a function */
export function savedFacts(item: SavedItem): DeployedFunction {
  const facts = deployedFunction.safeParse(item.facts);
  if (facts.success) return facts.data;
  throw new BackupError(
    "repository_format",
    `Cannot restore the Edge Function ${item.key}: the backup does not say what it was`,
  );
}
