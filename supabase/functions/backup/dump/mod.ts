/**
 * The door of `dump/`: reads a database into a model, and its rows into bytes.
 *
 * @module
 */
export type { DumpOptions } from "./context.ts";
export { type DatabaseReading, readDatabase } from "./read_database.ts";
export { recheck, type RowVersion } from "./recheck.ts";
export { readSourceFacts } from "./source_facts.ts";
