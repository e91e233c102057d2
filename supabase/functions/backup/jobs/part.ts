/**
 * Parts as the engine sees them; the stores, on the same floor, know them from `core` too.
 *
 * @module
 */
export type * from "../core/part.ts";
