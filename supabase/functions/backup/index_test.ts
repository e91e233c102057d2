/**
 * What a start of the function loads. A platform gives it little CPU time, and most requests need little code.
 *
 * @module
 */
import assert from "node:assert/strict";

/** Folders whose code comes with the first request, job or storage that needs it. */
const LATER = ["actions", "dump", "restore", "recovery/steps", "usecases/backup"];

/** Packages that a start may load. */
const PACKAGES = ["hono", "postgres", "zod"];

/** What a file loads at once: neither types nor `import()`. */
function importsOf(source: string): string[] {
  const code = source.replace(/^\s*(\*|\/\*|\/\/).*$/gm, "");
  const statements = code.matchAll(
    /^(?:import|export)(?!\s+type\b)[^"';()]*?\bfrom\s*"([^"]+)"|^import\s*"([^"]+)"/gm,
  );
  return [...statements].map(([, from, effect]) => (from ?? effect)!);
}

async function loadedBy(entry: URL): Promise<{ files: Set<string>; packages: Set<string> }> {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = async (file: URL): Promise<void> => {
    if (files.has(file.href)) return;
    files.add(file.href);
    for (const specifier of importsOf(await Deno.readTextFile(file))) {
      if (specifier.startsWith(".")) await visit(new URL(specifier, file));
      else if (!specifier.startsWith("node:")) packages.add(specifier);
    }
  };
  await visit(entry);
  return { files, packages };
}

Deno.test("a start loads what answers, and nothing that saves, restores or recovers", async () => {
  const here = new URL(".", import.meta.url).href;
  const { files, packages } = await loadedBy(new URL("index.ts", import.meta.url));
  assert.ok(files.has(`${here}http/create_app.ts`), "the walk goes from file to file");
  const early = [...files].map((file) => file.slice(here.length))
    .filter((file) => LATER.some((folder) => file.startsWith(`${folder}/`)));
  assert.deepEqual(early, []);
  assert.deepEqual([...packages].sort(), PACKAGES);
});
