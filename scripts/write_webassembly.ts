/**
 * Compiles what is written in AssemblyScript, each file into a module beside it. It needs the network, for the
 * compiler; nothing else does.
 *
 *     deno run -A scripts/write_webassembly.ts
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { toBase64, toHex, utf8 } from "../supabase/functions/backup/core/bytes.ts";
import { ROOT } from "./embedded_postgres.ts";
import { join } from "./paths.ts";

const COMPILER = "npm:assemblyscript@0.27.31/asc";
const OPTIONS = ["-O3", "--converge", "--runtime", "stub", "--noAssert", "--use", "abort="];
const LINE = 96;

/** Where the sources are, and how many pages of 64 kB each needs. */
const SOURCES = [
  { folder: "scripts/host/row_hash", name: "row_hash", pages: 24 },
  { folder: "supabase/functions/backup/postgres", name: "copy_frames", pages: 5 },
] as const;

if (import.meta.main) {
  for (const { folder, name, pages } of SOURCES) {
    const source = await Deno.readTextFile(join(ROOT, folder, `${name}.as`));
    const code = await compile(source, pages);
    const path = join(ROOT, folder, `${name}_wasm.ts`);
    await Deno.writeTextFile(path, await page(name, source, code));
    await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", path] }).output();
    console.log(`${name}_wasm.ts: ${code.length} bytes of WebAssembly`);
  }
}

async function compile(source: string, pages: number): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-webassembly-" });
  const memory = ["--initialMemory", String(pages), "--maximumMemory", String(pages)];
  try {
    await Deno.writeTextFile(join(folder, "source.ts"), source);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-lock", COMPILER, "source.ts", "-o", "code.wasm"],
        ...OPTIONS,
        ...memory,
      ],
      cwd: folder,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return await Deno.readFile(join(folder, "code.wasm"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function page(name: string, source: string, code: Uint8Array): Promise<string> {
  const digest = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(source))));
  const constant = name.toUpperCase();
  const lines = toBase64(code).match(new RegExp(`.{1,${LINE}}`, "g"))!;
  return `/**
 * Made from \`${name}.as\` by \`scripts/write_webassembly.ts\`; do not edit.
 *
 * @module
 */

/** SHA-256 of the source that it was made from. */
export const ${constant}_SOURCE = "${digest}";

/** The compiled code in base64. */
export const ${constant}_WASM = [
${lines.map((line) => `  "${line}",`).join("\n")}
].join("");
`;
}
