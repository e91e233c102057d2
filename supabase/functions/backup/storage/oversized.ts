/**
 * The bound on what is read into memory.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";

/** @throws `object_oversized` when there are more bytes than the reader takes */
export function refuseOversized(name: string, bytes: number, maxBytes: number | undefined): void {
  if (maxBytes === undefined || bytes <= maxBytes) return;
  throw new BackupError(
    "object_oversized",
    `Cannot read ${name}: it has ${bytes} bytes and nothing of a repository has over ${maxBytes}`,
    {
      hint:
        "Somebody else put it there. Check who may write to the storage; use another backup or copy.",
      details: { name, bytes, maxBytes },
    },
  );
}
