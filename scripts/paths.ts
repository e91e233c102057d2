/**
 * Paths for scripts; the function itself has no files.
 *
 * @module
 */
export { dirname, join, resolve } from "node:path";
export { fileURLToPath } from "node:url";
