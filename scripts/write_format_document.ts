/**
 * Writes the page on the repository's format into the function's code: the function keeps it in the storage,
 * and has no pages of its own where it runs. Run it after a change of `docs/repository-format.md`.
 *
 * @module
 */
import { ROOT } from "./embedded_postgres.ts";
import { join } from "./paths.ts";

const TARGET = "supabase/functions/backup/usecases/service/format_document.ts";

const page = await Deno.readTextFile(join(ROOT, "docs", "repository-format.md"));
const lines = page.split("\n").map((line) => `  ${JSON.stringify(line)},\n`).join("");
await Deno.writeTextFile(
  join(ROOT, TARGET),
  `/**
 * \`docs/repository-format.md\` as text, for the storage. Written by \`scripts/write_format_document.ts\`; as long as
 * the page.
 *
 * @module
 */

/** The page on the repository's format. */
export const FORMAT_DOCUMENT = [
${lines}].join("\\n");
`,
);
