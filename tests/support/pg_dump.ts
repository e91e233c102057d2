/**
 * A real pg_dump as the judge of two databases.
 *
 * @module
 */
import { textOfBytes } from "./bytes_as_text.ts";
import { wasmPgDump } from "./wasm_pg_dump.ts";

/** What pg_dump prints of a database, as a multiset of statements: order means nothing. */
export type DumpedStatements = Map<string, number>;

/** How to run pg_dump. */
export interface PgDumpOptions {
  /** Major version of the newer one of the servers that are compared. */
  major: number;
  /** Also the database's own properties: settings, comment, rights. @default false */
  create?: boolean;
}

/**
 * Dumps definitions and rows, rows as INSERT statements. The program `pg_dump` (or what `PG_DUMP` names)
 * does it where it is not older than the servers, else the one from npm.
 *
 * @param options.major of the newest server that takes part: both sides need one and the same pg_dump
 * @returns the dump, each byte as the character of its number: what is compared is bytes
 * @throws {Error} with what pg_dump says
 */
export async function pgDump(url: string, options: PgDumpOptions): Promise<string> {
  // With names: rows must reach their columns also where a dump puts these in another order.
  const args = ["--no-sync", "--column-inserts", ...(options.create ? ["--create"] : [])];
  if (await nativeMajor() < options.major) return await wasmPgDump(url, args);
  const output = await new Deno.Command(program(), {
    args: [...args, "--dbname", url],
    stdin: "null",
    env: { PGCLIENTENCODING: "" }, // the database's own
  }).output();
  if (!output.success) {
    throw new Error(
      `pg_dump ended with ${output.code}: ${new TextDecoder().decode(output.stderr)}`,
    );
  }
  return textOfBytes(output.stdout);
}

/** Cuts a dump into statements, rows of one table sorted, and drops what differs in every run. */
export function statementsOf(dump: string, database: string): DumpedStatements {
  const statements: DumpedStatements = new Map();
  const add = (statement: string) =>
    statements.set(statement, (statements.get(statement) ?? 0) + 1);
  const text = dump.replace(/^\\(?:un)?restrict .*$/gm, "")
    .replace(/\n--\n-- PostgreSQL database dump complete\n--\s*$/, "")
    .replaceAll(`"${database}"`, "DATABASE").replaceAll(database, "DATABASE");
  for (const block of text.split(/\n--\n-- (?=(?:Data for )?Name: )/)) {
    const [head = "", ...rows] = rowsOf(block);
    if (/^-- load via partition root /m.test(head)) {
      // Each row finds its partition anew, so only the whole table can be compared.
      for (const row of rows) add(row.trim());
    } else {
      const sorted = head + rows.sort().join("");
      add(sorted.replace(/^-- (?:Started|Completed|Dumped) .*$/gm, "").trim());
    }
  }
  return statements;
}

/** What stands before the rows of a table, and the rows. */
function rowsOf(block: string): string[] {
  if (!block.startsWith("Data for Name: ")) return [block];
  return `${block.trimEnd()}\n`.split(/(?=^INSERT INTO )/m);
}

/** What stands in one dump and not in the other, for reading; empty when they are equal. */
export function differences(source: DumpedStatements, target: DumpedStatements): string {
  const lines: string[] = [];
  const add = (sign: string, statement: string) => {
    lines.push(statement.split("\n").map((line) => `${sign} ${line}`).join("\n").slice(0, 2000));
  };
  for (const [statement, count] of source) {
    if ((target.get(statement) ?? 0) < count) add("-", statement);
  }
  for (const [statement, count] of target) {
    if ((source.get(statement) ?? 0) < count) add("+", statement);
  }
  return lines.join("\n");
}

function program(): string {
  return Deno.env.get("PG_DUMP") ?? "pg_dump";
}

let major: Promise<number> | undefined;

function nativeMajor(): Promise<number> {
  major ??= (async () => {
    try {
      const output = await new Deno.Command(program(), { args: ["--version"] }).output();
      return Number(/\) (\d+)/.exec(new TextDecoder().decode(output.stdout))?.[1] ?? 0);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return 0;
      throw error;
    }
  })();
  return major;
}
