/**
 * Brings exports back into a database: `deno task import --help`.
 *
 * @module
 */
import { BackupError } from "../supabase/functions/backup/core/errors.ts";
import { Secret } from "../supabase/functions/backup/core/secret.ts";
import { connect } from "../supabase/functions/backup/postgres/connect.ts";
import { IMPORT_MODES, type ImportFile } from "../supabase/functions/backup/restore/import/mod.ts";
import {
  importDatabase,
  type ImportReport,
} from "../supabase/functions/backup/usecases/export/import_database.ts";
import { type CommandValues, runCommand, UsageError } from "./cli/command.ts";
import { tablePatterns } from "./cli/table_patterns.ts";
import { basename, join } from "./paths.ts";

await runCommand({
  name: "deno task import",
  summary: "brings exports of this software back into a database: all of it or nothing",
  options: {
    "database-url": { type: "string", help: "the target, postgres://…, else SUPABASE_DB_URL" },
    input: {
      type: "string",
      help: "a file, or a directory of files; standard input when left out",
    },
    table: { type: "string", multiple: true, help: "schema.table: only its rows; * and ? match" },
    mode: {
      type: "string",
      default: "append",
      help: "append, replace what is there, or skip-existing by primary key",
    },
    create: { type: "boolean", help: "makes tables that are not there, as the file says" },
    "without-triggers": { type: "boolean", help: "silences the tables' own triggers meanwhile" },
    "accept-other-types": {
      type: "boolean",
      help: "takes columns of other types; rows are then only counted",
    },
    "lock-timeout": { type: "string", default: "60", help: "seconds to wait for a table's lock" },
  },
  async run(values, { signal }) {
    const url = new Secret(values.text("database-url") ?? Deno.env.get("SUPABASE_DB_URL") ?? "");
    if (url.reveal() === "") throw new UsageError("--database-url is missing");
    const mode = IMPORT_MODES.find((each) => each === values.required("mode"));
    if (mode === undefined) throw new UsageError(`--mode must be ${IMPORT_MODES.join(", ")}`);
    const tables = tablePatterns(values);
    const report = await importDatabase({
      connect: () => connect({ url, signal }),
      files: await filesOf(values),
      request: {
        mode,
        ...(tables.length === 0 ? {} : { tables }),
        create: values.flag("create"),
        withoutTriggers: values.flag("without-triggers"),
        acceptOtherTypes: values.flag("accept-other-types"),
        lockTimeoutMs: (values.count("lock-timeout") ?? 60) * 1000,
      },
      signal,
    });
    return { json: report, text: textOf(report) };
  },
});

async function filesOf(values: CommandValues): Promise<ImportFile[]> {
  const input = values.text("input");
  if (input === undefined) {
    return [{ name: "standard input", open: () => Deno.stdin.readable }];
  }
  try {
    if (!(await Deno.stat(input)).isDirectory) return [fileAt(input)];
    const names = (await Array.fromAsync(Deno.readDir(input)))
      .filter(({ name, isFile }) => isFile && name.endsWith(".ndjson")).map(({ name }) => name);
    if (names.length > 0) return names.sort().map((name) => fileAt(join(input, name)));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new BackupError("not_found", `Cannot read ${input}: ${error.message}`, {
      hint: "Name a file or a directory that an export wrote.",
      cause: error,
    });
  }
  throw new BackupError(
    "not_found",
    `Cannot import ${input}: it holds no file that ends in .ndjson`,
    {
      hint: "Name a file or a directory that an export wrote.",
    },
  );
}

function fileAt(path: string): ImportFile {
  return {
    name: basename(path),
    async *open() {
      yield* (await Deno.open(path)).readable;
    },
  };
}

function textOf({ tables, rows, statements }: ImportReport): string {
  const made = statements === 0 ? "" : `, ${statements} statements`;
  return [
    `${tables.length} tables, ${rows} rows${made}`,
    ...tables.flatMap(({ table, added, skipped, compared, remarks }) => [
      `  ${table}: ${added} rows added${skipped === 0 ? "" : `, ${skipped} were there`}, ` +
      `compared by ${compared}`,
      ...remarks.map((remark) => `    note: ${remark}`),
    ]),
  ].join("\n");
}
