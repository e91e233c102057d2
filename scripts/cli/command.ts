/**
 * What the command line programs share: arguments, output, errors, exit codes.
 *
 * Exit codes: 0 done; 1 failed; 2 the arguments are wrong; 3 done, and problems were found; 130 stopped
 * by a signal.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { parseArgs } from "node:util";
import { BackupError, toBackupError } from "../../supabase/functions/backup/core/errors.ts";

/** Options of a program as `node:util` takes them, with a line of help each. */
export type CommandOptions = Record<
  string,
  { type: "string" | "boolean"; multiple?: boolean; default?: string; help: string }
>;

/** Values of the options: a string, a list for `multiple`, or a boolean. */
export interface CommandValues {
  /** A value, undefined when it was not given. */
  text(name: string): string | undefined;
  /** A value that must be given. @throws {UsageError} */
  required(name: string): string;
  list(name: string): string[];
  flag(name: string): boolean;
  /** A whole number of at least 1. @throws {UsageError} */
  count(name: string): number | undefined;
}

/** Wrong arguments: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What a program gives back. */
export interface CommandResult {
  /** With `--json`: printed as one line. */
  json: unknown;
  /** Else: printed as it is. */
  text: string;
  /** @default 0 */
  exitCode?: 0 | 3;
}

/** A program. */
export interface Command {
  /** As it is started: `deno task backup`. */
  name: string;
  summary: string;
  options: CommandOptions;
  run(values: CommandValues, context: CommandContext): Promise<CommandResult | null>;
  /** Lines to print above an error's message: what its details list. */
  explain?: (error: BackupError) => string[];
}

/** What a running program is given. */
export interface CommandContext {
  signal: AbortSignal;
  json: boolean;
}

/** Runs a program with the process's arguments and ends the process with its exit code. */
export async function runCommand(command: Command): Promise<never> {
  Deno.exit(await execute(command, Deno.args));
}

async function execute(command: Command, args: readonly string[]): Promise<number> {
  const json = args.includes("--json");
  const stop = new AbortController();
  const onSignal = () =>
    stop.abort(new BackupError("cancelled", "Cannot finish: it was stopped by a signal"));
  Deno.addSignalListener("SIGINT", onSignal);
  Deno.addSignalListener("SIGTERM", onSignal);
  try {
    if (args.includes("--help")) {
      console.log(helpOf(command));
      return 0;
    }
    const result = await command.run(parse(command, args), { signal: stop.signal, json });
    if (result === null) return 0;
    console.log(json ? JSON.stringify(result.json) : result.text);
    return result.exitCode ?? 0;
  } catch (error) {
    if (error instanceof UsageError) {
      report(json, { code: "invalid_request", message: error.message });
      if (!json) console.error(`\n${helpOf(command)}`);
      return 2;
    }
    const failure = toBackupError(error);
    const { code, message, hint, details } = failure;
    if (!json) command.explain?.(failure).forEach((line) => console.error(line));
    report(json, {
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(details === undefined ? {} : { details }),
    });
    return stop.signal.aborted ? 130 : 1;
  } finally {
    Deno.removeSignalListener("SIGINT", onSignal);
    Deno.removeSignalListener("SIGTERM", onSignal);
  }
}

interface ReportedError {
  code: string;
  message: string;
  hint?: string;
  /** For machines only: lists that are too long to read. */
  details?: Record<string, unknown>;
}

function report(json: boolean, error: ReportedError): void {
  if (json) console.error(JSON.stringify({ error }));
  else console.error([`[${error.code}] ${error.message}`, error.hint].filter(Boolean).join("\n"));
}

function parse(command: Command, args: readonly string[]): CommandValues {
  const options = Object.fromEntries(
    Object.entries({ ...command.options, ...COMMON }).map(([name, option]) => [name, {
      type: option.type,
      multiple: option.multiple ?? false,
    }]),
  );
  let given: Record<string, unknown>;
  try {
    given = parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(usageMessage(error));
  }
  const text = (name: string) => {
    const value = given[name] ?? command.options[name]?.default;
    return typeof value === "string" ? value : undefined;
  };
  return {
    text,
    required(name) {
      const value = text(name);
      if (value === undefined || value === "") throw new UsageError(`--${name} is missing`);
      return value;
    },
    list: (name) => Array.isArray(given[name]) ? given[name].map(String) : [],
    flag: (name) => given[name] === true,
    count(name) {
      const value = text(name);
      if (value === undefined) return undefined;
      if (!/^[1-9]\d{0,5}$/.test(value)) {
        throw new UsageError(`--${name} must be a whole number of at least 1`);
      }
      return Number(value);
    },
  };
}

/** The parser's words, but never an argument that lost its option's name: it may hold a password. */
function usageMessage(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  if (code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL") {
    return "every argument needs the name of its option before it";
  }
  return error instanceof Error ? error.message : String(error);
}

const COMMON: CommandOptions = {
  json: { type: "boolean", help: "one line of JSON instead of text" },
  help: { type: "boolean", help: "shows this" },
};

function helpOf(command: Command): string {
  const lines = Object.entries({ ...command.options, ...COMMON }).map(([name, option]) => {
    const value = option.type === "boolean" ? "" : " …";
    const more = option.multiple === true ? " (repeatable)" : "";
    const usual = option.default === undefined ? "" : ` (default ${option.default})`;
    return `  ${`--${name}${value}`.padEnd(26)} ${option.help}${more}${usual}`;
  });
  return [
    `${command.name}: ${command.summary}`,
    "",
    ...lines,
    "",
    "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 problems were found, 130 stopped.",
  ].join("\n");
}
