/**
 * The project's pages as tests read them: headings, links, and blocks of code.
 *
 * @module
 */
import { dirname, fileURLToPath, join } from "../../scripts/paths.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** One page. */
export interface Page {
  /** From the project's folder, such as `docs/api.md`. */
  path: string;
  text: string;
}

/** A block between fences: its language, what the fence says beside it, its lines. */
export interface Block {
  language: string;
  /** Words after the language: `run` marks what tests run. */
  marks: string[];
  lines: string;
}

/** A link of one page to another place of the project. */
export interface Link {
  /** As it is written. */
  target: string;
  /** From the project's folder. */
  path: string;
  anchor: string | null;
}

/** A page by its path from the project's folder. */
export async function readPage(path: string): Promise<Page> {
  return { path, text: await Deno.readTextFile(join(ROOT, path)) };
}

/** README.md and all that is in `docs/`. */
export async function allPages(): Promise<Page[]> {
  const found = ["README.md"];
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(join(ROOT, folder))) {
      if (isDirectory) await visit(`${folder}/${name}`);
      else if (name.endsWith(".md")) found.push(`${folder}/${name}`);
    }
  };
  await visit("docs");
  return await Promise.all(found.sort().map(readPage));
}

/** All blocks between fences, in order; those under one heading when it is given. */
export function blocksOf({ path, text }: Page, heading?: string): Block[] {
  const blocks = sectionOf({ path, text }, heading).matchAll(/^```([^\n]*)\n(.*?)^```$/gms);
  return [...blocks].map(([, fence, lines]) => {
    const [language = "", ...marks] = fence!.split(" ").filter((word) => word !== "");
    return { language, marks, lines: lines! };
  });
}

function sectionOf({ path, text }: Page, heading: string | undefined): string {
  if (heading === undefined) return text;
  const from = text.indexOf(`\n## ${heading}\n`);
  if (from < 0) throw new Error(`${path} has no heading ${heading}`);
  const section = text.slice(from + 1);
  const end = section.indexOf("\n## ");
  return end < 0 ? section : section.slice(0, end + 1);
}

/** What is on the page beside code. */
function proseOf(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, "").replaceAll(
    /`[^`\n]*`/g,
    (code) => code.replaceAll(/[[\]()]/g, " "),
  );
}

/** Links to places in the project; those to the web are left out. */
export function linksOf({ path, text }: Page): Link[] {
  const links = proseOf(text).matchAll(/\]\(([^)\s]+)\)/g);
  return [...links].map(([, target]) => target!).filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = "", anchor = null] = target.split("#");
      const linked = file === "" ? path : join(dirname(path), file).replace(/\/$/, "");
      return { target, path: linked, anchor };
    });
}

/** The anchors of a page's headings, as GitHub names them. */
export function anchorsOf({ text }: Page): Set<string> {
  const anchors = new Set<string>();
  const counts = new Map<string, number>();
  for (const [, heading] of text.replaceAll(/^```.*?^```$/gms, "").matchAll(/^#+ (.*)$/gm)) {
    const plain = heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const anchor = plain.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    const count = counts.get(anchor) ?? 0;
    counts.set(anchor, count + 1);
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`);
  }
  return anchors;
}

/** Whether a file or folder of the project is there. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(join(ROOT, path));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
