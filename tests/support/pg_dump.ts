/**
 * A real pg_dump as the judge of two databases.
 *
 * @module
 */

/** What pg_dump prints of a database, as a multiset of statements: order means nothing. */
export type DumpedStatements = Map<string, number>;

/** How to run pg_dump. */
export interface PgDumpOptions {
  /** Also the database's own properties: settings, comment, rights. @default false */
  create?: boolean;
}

/** Whether a pg_dump that is at least of this major version can be run. */
export async function pgDumpAvailable(major: number): Promise<boolean> {
  return await nativeMajor() >= major;
}

/**
 * Dumps definitions and rows.
 *
 * @throws {Error} with what pg_dump says
 */
export async function pgDump(url: string, options: PgDumpOptions = {}): Promise<string> {
  const output = await new Deno.Command(program(), {
    args: ["--dbname", url, "--no-sync", ...(options.create ? ["--create"] : [])],
    stdin: "null",
    // Bytes are compared, not characters: the database's encoding is kept.
    env: { PGCLIENTENCODING: "" },
  }).output();
  if (!output.success) {
    throw new Error(
      `pg_dump ended with ${output.code}: ${new TextDecoder().decode(output.stderr)}`,
    );
  }
  return new TextDecoder("latin1").decode(output.stdout);
}

/**
 * Loads a dump by psql as pg_dump's own users do: a restore may lose what this loses, and nothing more.
 *
 * @returns whether psql is there to do it
 */
export async function loadByPsql(url: string, dump: string): Promise<boolean> {
  let process: Deno.ChildProcess;
  try {
    process = new Deno.Command(Deno.env.get("PSQL") ?? "psql", {
      args: ["--no-psqlrc", "--quiet", "--output=/dev/null", "--dbname", url],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  const writer = process.stdin.getWriter();
  const plain = dump.replace(/^\\(?:un)?restrict .*$/gm, "");
  await writer.write(Uint8Array.from(plain, (character) => character.charCodeAt(0)));
  await writer.close();
  await process.status;
  return true;
}

/** Cuts a dump into statements, rows of one COPY sorted, and drops what differs in every run. */
export function statementsOf(dump: string, database: string): DumpedStatements {
  const statements: DumpedStatements = new Map();
  const text = dump.replace(/^\\(?:un)?restrict .*$/gm, "")
    .replaceAll(`"${database}"`, "DATABASE").replaceAll(database, "DATABASE");
  for (const block of text.split(/\n--\n-- (?=(?:Data for )?Name: )/)) {
    const statement = sortRows(block).replace(/^-- (?:Started|Completed|Dumped) .*$/gm, "").trim();
    statements.set(statement, (statements.get(statement) ?? 0) + 1);
  }
  return statements;
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

function sortRows(block: string): string {
  const copy = /^COPY .* FROM stdin;\n/m.exec(block);
  if (copy === null) return block;
  const start = copy.index + copy[0].length;
  const end = block.indexOf("\n\\.\n", start - 1);
  if (end < start) return block;
  const rows = block.slice(start, end).split("\n").sort();
  return `${block.slice(0, start)}${rows.join("\n")}${block.slice(end)}`;
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
