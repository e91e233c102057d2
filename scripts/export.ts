/**
 * Writes a backup as SQL or JSON lines: `deno task export --help`.
 *
 * @module
 */
import { exportDatabase } from "../supabase/functions/backup/usecases/export_database.ts";
import { runCommand, UsageError } from "./cli/command.ts";
import { openCommandRepository, REPOSITORY_OPTIONS } from "./cli/repository.ts";

await runCommand({
  name: "deno task export",
  summary: "writes a backup as SQL for psql -v ON_ERROR_STOP=1, or as JSON lines",
  options: {
    ...REPOSITORY_OPTIONS,
    backup: { type: "string", default: "latest", help: "id of a backup, or latest" },
    format: { type: "string", default: "sql", help: "sql or json" },
    table: { type: "string", multiple: true, help: "schema.table: only its rows" },
    output: { type: "string", help: "a file; standard output when left out" },
  },
  async run(values, { signal }) {
    const format = values.required("format");
    if (format !== "sql" && format !== "json") throw new UsageError("--format must be sql or json");
    const repository = await openCommandRepository(values);
    const path = values.text("output");
    const file = path === undefined
      ? Deno.stdout
      : await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
    const tables = values.list("table");
    try {
      const report = await exportDatabase({
        repository,
        backup: values.required("backup"),
        format,
        ...(tables.length === 0 ? {} : { tables }),
        signal,
      }, async (bytes) => {
        for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      });
      // On standard output only the export itself.
      if (path === undefined) return null;
      const text = `${report.backupId}: ${report.tables} tables, ${report.rows} rows in ${path}`;
      return { json: report, text };
    } finally {
      if (path !== undefined) file.close();
    }
  },
});
