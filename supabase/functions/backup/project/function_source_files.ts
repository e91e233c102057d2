/**
 * The source files of an Edge Function, as the Management API gives them: paths by the place where the
 * platform has built it, brought back to the paths that it was deployed with.
 *
 * @module
 */
import { fromUtf8 } from "../core/bytes.ts";
import type { DeployedFunction } from "./function_calls.ts";
import { parseMultipart } from "./multipart.ts";

/** Source files of a function. */
export interface FunctionSources {
  /** Path of the entry point, one of the files. */
  entrypoint: string;
  /** Path of the import map; null when the function has none. It need not be one of the files. */
  importMap: string | null;
  /** By path. */
  files: Map<string, Uint8Array>;
}

/** Under this folder the platform puts what was uploaded. */
const BUILD_FOLDER = "source/";

/**
 * Reads the answer of `GET …/functions/{slug}/body` in its multipart form.
 *
 * @throws {SyntaxError} when it is not one, or lacks the entry point
 */
export function readSources(
  { body, contentType }: { body: Uint8Array; contentType: string },
  deployed: DeployedFunction,
): FunctionSources {
  const parts = parseMultipart(body, contentType);
  let metadata: Record<string, unknown> = {};
  const files = new Map<string, Uint8Array>();
  for (const part of parts) {
    if (part.filename === null) {
      if (part.name === "metadata") metadata = parseMetadata(part.content);
      continue;
    }
    const path = tidyPath(part.headers.get("supabase-path") ?? part.filename);
    if (files.has(path)) throw new SyntaxError("two source files have the same path");
    files.set(path, part.content);
  }
  const told = metadata.deno2_entrypoint_path ?? metadata.entrypoint_path;
  const entrypoint = findFile(
    files,
    typeof told === "string" && told !== "" ? told : pathOf(deployed.entrypoint_path ?? "index.ts"),
  );
  const importMap = importMapPath(entrypoint, deployed);
  const inFolder = [...files.keys()].every((path) => path.startsWith(BUILD_FOLDER));
  const shorten = (path: string) => inFolder ? path.slice(BUILD_FOLDER.length) : path;
  return {
    entrypoint: shorten(entrypoint),
    importMap: importMap === null ? null : shorten(importMap),
    files: new Map([...files].map(([path, content]) => [shorten(path), content])),
  };
}

/** The import map lies where it lay at the build, seen from the entry point. */
function importMapPath(entrypoint: string, deployed: DeployedFunction): string | null {
  const { import_map, import_map_path, entrypoint_path } = deployed;
  if (import_map !== true || import_map_path === undefined || entrypoint_path === undefined) {
    return null;
  }
  const way = relativePath(folderOf(pathOf(entrypoint_path)), pathOf(import_map_path));
  return tidyPath(`${folderOf(entrypoint)}/${way}`);
}

/**
 * Paths of files as they lie around the entry point: the same for the same sources, wherever a platform
 * has put their root.
 */
export function aroundEntrypoint(path: string, entrypoint: string): string {
  return relativePath(folderOf(entrypoint), path);
}

function parseMetadata(content: Uint8Array): Record<string, unknown> {
  const parsed: unknown = content.length === 0 ? {} : JSON.parse(fromUtf8(content));
  return typeof parsed === "object" && parsed !== null ? parsed as Record<string, unknown> : {};
}

/** The file that a path means: itself, or the one that it ends with. */
function findFile(files: ReadonlyMap<string, unknown>, told: string): string {
  const path = tidyPath(told);
  if (files.has(path)) return path;
  const ends = [...files.keys()].filter((file) => path.endsWith(`/${file}`));
  const longest = ends.sort((a, b) => b.length - a.length)[0];
  if (longest === undefined) throw new SyntaxError("the entry point is not among the source files");
  return longest;
}

/** Path of `file:///…`, or what is a path already. */
function pathOf(text: string): string {
  if (!text.startsWith("file:")) return text;
  try {
    return decodeURIComponent(new URL(text).pathname);
  } catch {
    return text.replace(/^file:\/*/, "/");
  }
}

/** A relative path without `.`, `..` and doubled slashes. @throws {SyntaxError} when it leads outside */
function tidyPath(path: string): string {
  const kept: string[] = [];
  for (const step of path.split("/")) {
    if (step === "" || step === ".") continue;
    if (step !== "..") kept.push(step);
    else if (kept.pop() === undefined) {
      throw new SyntaxError("a source file lies outside its folder");
    }
  }
  if (kept.length === 0 || path.includes("\0")) throw new SyntaxError("a source file has no path");
  return kept.join("/");
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** The way from a folder to a file. */
function relativePath(folder: string, file: string): string {
  const from = folder.split("/").filter((step) => step !== "");
  const to = file.split("/").filter((step) => step !== "");
  let same = 0;
  while (same < from.length && same < to.length - 1 && from[same] === to[same]) same++;
  return [...from.slice(same).map(() => ".."), ...to.slice(same)].join("/");
}
