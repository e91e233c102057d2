/**
 * The tables that a command line names.
 *
 * @module
 */
import type { CommandValues } from "./command.ts";

/** The values of `--table`; one without a schema is of `public`. */
export function tablePatterns(values: CommandValues): string[] {
  return values.list("table").map((name) => name.includes(".") ? name : `public.${name}`);
}
