/**
 * Lists the backups of a repository: `deno task backups --help`.
 *
 * @module
 */
import { runCommand } from "./cli/command.ts";
import { openCommandRepository, REPOSITORY_OPTIONS } from "./cli/repository.ts";
import { formatBytes } from "./cli/show_progress.ts";

await runCommand({
  name: "deno task backups",
  summary: "lists the backups of a repository, newest first",
  options: { ...REPOSITORY_OPTIONS },
  async run(values, { signal }) {
    const repository = await openCommandRepository(values);
    const { backups, damaged } = await repository.listBackups({ signal });
    const lines = backups.map((record) => {
      const { backupId, createdAt, origin, totals, reason } = record;
      const what = record.type === "database"
        ? [record.source.database, `${record.totals.rows} rows`]
        : [record.type, `${record.totals.items} items${record.partial ? ", partial" : ""}`];
      return [backupId, createdAt, origin, ...what, formatBytes(totals.rawBytes), reason ?? ""]
        .join("  ").trimEnd();
    });
    for (const { backupId, message } of damaged) lines.push(`${backupId}  damaged: ${message}`);
    return {
      json: { backups, damaged },
      text: lines.length === 0 ? "no backups" : lines.join("\n"),
      exitCode: damaged.length === 0 ? 0 : 3,
    };
  },
});
