/**
 * Compiles `scripts/host/row_hash/row_hash.as` into `row_hash_wasm.ts` beside it. It needs the network, for
 * the compiler; nothing else does.
 *
 *     deno run -A scripts/write_row_hash.ts
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { toBase64, toHex, utf8 } from "../supabase/functions/backup/core/bytes.ts";
import { ROOT } from "./embedded_postgres.ts";
import { join } from "./paths.ts";

const COMPILER = "npm:assemblyscript@0.27.31/asc";
const OPTIONS = [
  ...["-O3", "--converge", "--runtime", "stub", "--noAssert", "--use", "abort="],
  ...["--initialMemory", "24", "--maximumMemory", "24"],
];
const LINE = 96;

if (import.meta.main) {
  const folder = join(ROOT, "scripts", "host", "row_hash");
  const source = await Deno.readTextFile(join(folder, "row_hash.as"));
  const code = await compile(source);
  await Deno.writeTextFile(join(folder, "row_hash_wasm.ts"), await page(source, code));
  console.log(`row_hash_wasm.ts: ${code.length} bytes of WebAssembly`);
}

async function compile(source: string): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-row-hash-" });
  try {
    await Deno.writeTextFile(join(folder, "row_hash.ts"), source);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-lock", COMPILER, "row_hash.ts", "-o", "row_hash.wasm", ...OPTIONS],
      cwd: folder,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return await Deno.readFile(join(folder, "row_hash.wasm"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function page(source: string, code: Uint8Array): Promise<string> {
  const digest = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(source))));
  const lines = toBase64(code).match(new RegExp(`.{1,${LINE}}`, "g"))!;
  return `/**
 * Made from \`row_hash.as\` by \`scripts/write_row_hash.ts\`; do not edit.
 *
 * @module
 */

/** SHA-256 of the source that it was made from. */
export const ROW_HASH_SOURCE = "${digest}";

/** The compiled code in base64. */
export const ROW_HASH_WASM = [
${lines.map((line) => `  "${line}",`).join("\n")}
].join("");
`;
}
