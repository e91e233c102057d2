/**
 * Writes a backup or a live database as SQL or as lines of JSON: `deno task export --help`.
 *
 * @module
 */
import { Secret } from "../supabase/functions/backup/core/secret.ts";
import { connect } from "../supabase/functions/backup/postgres/connect.ts";
import {
  exportDatabase,
  type ExportFrom,
  type ExportReport,
} from "../supabase/functions/backup/usecases/export/export_database.ts";
import { type CommandValues, runCommand, UsageError } from "./cli/command.ts";
import {
  directoryOfFiles,
  type ExportFiles,
  singleFile,
  standardOutput,
} from "./cli/export_files.ts";
import { openCommandRepository, REPOSITORY_OPTIONS } from "./cli/repository.ts";
import { tablePatterns } from "./cli/table_patterns.ts";

await runCommand({
  name: "deno task export",
  summary: "writes a backup or a live database as SQL for psql, or as lines of JSON",
  options: {
    ...REPOSITORY_OPTIONS,
    backup: { type: "string", default: "latest", help: "id of a backup, or latest" },
    from: { type: "string", help: "postgres://…: a live database instead of a backup" },
    format: { type: "string", default: "sql", help: "sql or json" },
    table: {
      type: "string",
      multiple: true,
      help: "schema.table: only its rows, with its partitions; * and ? match",
    },
    definitions: { type: "boolean", help: "with --table, in SQL: also makes the tables" },
    output: { type: "string", help: "a file; standard output when left out" },
    directory: { type: "string", help: "in JSON: a new directory with a file for each table" },
    force: { type: "boolean", help: "replaces a file or directory of an earlier export" },
    "lock-timeout": { type: "string", default: "60", help: "seconds to wait for a table's lock" },
  },
  async run(values, { signal }) {
    const format = values.required("format");
    if (format !== "sql" && format !== "json") throw new UsageError("--format must be sql or json");
    const tables = tablePatterns(values);
    const from = await sourceOf(values, signal);
    const place = values.text("output") ?? values.text("directory");
    const files = await openFiles(values, format);
    let report: ExportReport;
    try {
      report = await exportDatabase(from, {
        format,
        definitions: values.flag("definitions"),
        ...(tables.length === 0 ? {} : { tables }),
      }, { target: files.target, signal });
      signal.throwIfAborted();
      await files.finish();
    } finally {
      await files.discard();
    }
    return resultOf(report, place);
  },
});

async function sourceOf(values: CommandValues, signal: AbortSignal): Promise<ExportFrom> {
  const from = values.text("from");
  if (from === undefined) {
    return { repository: await openCommandRepository(values), backup: values.required("backup") };
  }
  if (values.text("repository") !== undefined) {
    throw new UsageError("--from and --repository cannot both be said");
  }
  const url = new Secret(from);
  return {
    connect: () => connect({ url, signal }),
    lockTimeoutMs: (values.count("lock-timeout") ?? 60) * 1000,
  };
}

async function openFiles(values: CommandValues, format: "sql" | "json"): Promise<ExportFiles> {
  const [output, directory] = [values.text("output"), values.text("directory")];
  const force = values.flag("force");
  if (directory === undefined) {
    return output === undefined ? standardOutput() : await singleFile(output, { force });
  }
  if (output !== undefined) throw new UsageError("--output and --directory cannot both be said");
  if (format === "sql") throw new UsageError("--directory is for --format json");
  return await directoryOfFiles(directory, { force, suffix: ".ndjson" });
}

function resultOf(report: ExportReport, place: string | undefined) {
  const text = [
    `${report.of}: ${report.tables} tables, ${report.rows} rows${
      place === undefined ? "" : ` in ${place}`
    }`,
    ...report.remarks.map((remark) => `  note: ${remark}`),
  ].join("\n");
  // On standard output only the export itself.
  if (place !== undefined) return { json: report, text };
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  return null;
}
