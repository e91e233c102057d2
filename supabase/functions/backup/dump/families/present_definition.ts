/**
 * The guard on texts that the server's catalog functions write.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";

/**
 * The text itself. The functions look at the present, not at the backup's moment: of what was dropped
 * since they return NULL.
 *
 * @throws {BackupError} `concurrent_ddl` when there is none
 */
export function presentDefinition(text: string | null, address: string): string {
  if (text !== null && text !== "") return text;
  throw new BackupError(
    "concurrent_ddl",
    `Cannot read the definition of ${address}: the server has none`,
    { hint: "It was probably dropped while it was read. Start the backup again." },
  );
}
