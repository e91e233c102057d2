/**
 * Runs what a page marks as runnable, as its reader would: lines of a shell, and SQL.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "../../scripts/paths.ts";
import { DENO_RUN } from "../../scripts/testing/deno_run.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import type { Block } from "./markdown.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What stands around the lines of a page. */
export interface Reader {
  /** What the reader has exported. */
  environment: Record<string, string>;
  /** The database that blocks of SQL mean. */
  session: Session;
  /** Where the reader stands. @default the project's folder */
  folder?: string;
  /** What the reader fills in, by placeholder. */
  values?: Record<string, string>;
}

/** What a block gave: answers of the service, or what a program printed. */
export interface Ran {
  block: Block;
  // deno-lint-ignore no-explicit-any -- answers are looked at field by field
  answers: any[];
  rows: Record<string, unknown>[];
}

const COMMAND = [Deno.execPath(), ...DENO_RUN].map((word) => `'${word}'`).join(" ");

/**
 * The words of a shell in which `deno task` is that of the checkout, by the Deno that runs the tests and
 * without a change of the lock file, and in which each answer is a line.
 */
const PROLOGUE = `deno() {
  task=$2; shift 2
  ${COMMAND} --config '${ROOT}deno.json' "${ROOT}scripts/$task.ts" "$@"
}
curl() { command curl --write-out '\\n' "$@"; }
`;

/**
 * Runs blocks in order.
 *
 * @throws when a program fails, an answer is no success, a job has not completed, or a placeholder is left
 */
export async function runBlocks(blocks: Block[], reader: Reader): Promise<Ran[]> {
  const ran: Ran[] = [];
  for (const block of blocks) {
    const lines = fillIn(block.lines, reader.values ?? {});
    ran.push(
      block.language === "sql"
        ? { block, answers: [], rows: await runSql(lines, reader.session) }
        : { block, answers: await runShell(lines, reader), rows: [] },
    );
  }
  return ran;
}

function fillIn(lines: string, values: Record<string, string>): string {
  const filled = lines.replaceAll(
    /<[a-z-]+>/g,
    (placeholder) => values[placeholder] ?? placeholder,
  );
  assert.doesNotMatch(filled, /<[a-z-]+>/, "nothing was said of what to fill in");
  return filled;
}

/** @returns the rows of all statements */
async function runSql(lines: string, session: Session): Promise<Record<string, unknown>[]> {
  const rows = [];
  for (const statement of lines.split(/;\n/).filter((each) => each.trim() !== "")) {
    rows.push(...await session.query(statement));
  }
  return rows;
}

/** @returns the data of all answers of the service */
async function runShell(
  lines: string,
  { environment, folder = ROOT }: Pick<Reader, "environment" | "folder">,
  // deno-lint-ignore no-explicit-any -- answers are looked at field by field
): Promise<any[]> {
  const { success, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-e", "-u", "-c", PROLOGUE + lines],
    cwd: folder,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "", ...keptOf(Deno.env.toObject()), ...environment },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  const [output, said] = [decoder.decode(stdout), decoder.decode(stderr)];
  assert.ok(success, `${lines}\n${output}\n${said}`);
  const answers = output.split("\n").filter((line) => line.startsWith('{"success":'))
    .map((line) => JSON.parse(line));
  for (const answer of answers) {
    assert.equal(answer.success, true, `${lines}\n${JSON.stringify(answer)}`);
  }
  return answers.map(({ data }) => data);
}

/** Where Deno keeps its packages; nothing else of the machine's environment reaches a page's lines. */
function keptOf(all: Record<string, string>): Record<string, string> {
  const names = ["HOME", "DENO_DIR", "NPM_CONFIG_REGISTRY", "TMPDIR"];
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
}
