/**
 * Checks stored backups: `deno task verify --help`.
 *
 * @module
 */
import { verifyBackups } from "../supabase/functions/backup/usecases/verify/verify_backup.ts";
import { runCommand } from "./cli/command.ts";
import { openCommandRepository, REPOSITORY_OPTIONS } from "./cli/repository.ts";
import { formatBytes, showProgress } from "./cli/show_progress.ts";

await runCommand({
  name: "deno task verify",
  summary: "checks that backups are whole; all of them unless one is named",
  options: {
    ...REPOSITORY_OPTIONS,
    backup: { type: "string", multiple: true, help: "id of a backup, or latest" },
    quick: { type: "boolean", help: "only that everything is there; else all bytes are read" },
  },
  async run(values, { signal, json }) {
    const repository = await openCommandRepository(values);
    const progress = showProgress(json);
    const report = await verifyBackups({
      repository,
      level: values.flag("quick") ? "quick" : "full",
      backups: values.list("backup"),
      signal,
      onProgress: progress.listener,
    }).finally(progress.end);
    const text = [
      `${report.backups.length} backups, ${report.objectsChecked} objects, ` +
      `${formatBytes(report.bytesRead)} read, ${report.problems.length} problems`,
      ...report.problems.map(({ object, message }) => `  ${object}: ${message}`),
    ].join("\n");
    return { json: report, text, exitCode: report.problems.length === 0 ? 0 : 3 };
  },
});
