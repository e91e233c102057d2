/**
 * The repository's only door: an encrypted, content-addressed store of backups. The format is
 * described in `docs/repository-format.md`.
 *
 * @module
 */
export type * from "./types.ts";
