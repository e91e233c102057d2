/**
 * Paths for scripts; the function itself has no files.
 *
 * @module
 */
export { basename, dirname, join, resolve } from "node:path";
export { fileURLToPath } from "node:url";
