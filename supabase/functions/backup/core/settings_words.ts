/**
 * Settings in words: what may be said of each, and what is wrong with what was said.
 *
 * @module
 */
import { z } from "zod";
import { settingsSchema } from "./settings_schema.ts";
import { SETTING_VARIABLES, variableOf } from "./settings_variables.ts";

/** What a schema's pattern means, by setting. */
const FORMS: Record<string, string> = {
  emailTo: "a list of at most 50 mail addresses",
  emailFrom: "a mail address, as backup@example.com or Backups <backup@example.com>",
  emailApiUrl: "an address as https://host/path",
  settingsTables: "a list of at most 50 names as schema.table",
  plainVariables: "a list of at most 200 names of variables",
  confirmedKeyId: "a key's id: 16 hexadecimal digits",
  destinations: "a list of at most 8 objects as {name, type, …}, in JSON",
  backupStorageConfig: "an object",
  "backupStorageConfig.bucket": "a bucket's name",
  "backupStorageConfig.region": "a region's name, as eu-central-1",
  "backupStorageConfig.endpoint": "an address as https://host",
  "backupStorageConfig.prefix": "a path",
  "backupStorageConfig.account": "3 to 24 small letters and digits",
  "backupStorageConfig.storageClass": "a class that the storage has",
};

/** Settings whose fields the schema itself explains. */
const EXPLAINED_BY_FIELD: readonly string[] = ["backupStorageConfig", "destinations"];

/** Longest piece of a wrong value that a message quotes. */
const QUOTED_LENGTH = 60;

/** What may be said of a setting, as the end of "is not …"; undefined when there is no such setting. */
export function allowedWords(path: string): string | undefined {
  const shape = shapeOf(path);
  return shape === undefined ? undefined : FORMS[path] ?? wordsOf(shape);
}

/** What a setting does; undefined when there is no such setting. */
export function effectOf(path: string): string | undefined {
  return shapeOf(path)?.description;
}

/** The setting at a path with points. */
function shapeOf(path: string): Shape | undefined {
  const [first = "", ...rest] = path.split(".");
  const schema = (settingsSchema.shape as Record<string, z.ZodType>)[first];
  if (schema === undefined) return undefined;
  let shape: Shape | undefined = toJsonSchema(schema);
  for (const name of rest) shape = shape?.properties?.[name];
  return shape;
}

/** The part of JSON Schema that settings use. */
interface Shape {
  description?: string;
  properties?: Record<string, Shape>;
  type?: string;
  enum?: string[];
  pattern?: string;
  items?: Shape;
  maxItems?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
}

function toJsonSchema(schema: z.ZodType): Shape {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Shape;
}

function wordsOf(shape: Shape): string {
  if (shape.enum !== undefined) return `one of ${shape.enum.join(", ")}`;
  switch (shape.type) {
    case "boolean":
      return "true or false";
    case "integer":
    case "number":
      return numberWords(shape);
    case "array":
      return listWords(shape);
    default:
      return shape.maxLength === undefined
        ? "a reference: env:NAME or vault://name"
        : `text of at most ${shape.maxLength} characters`;
  }
}

function numberWords({ type, minimum, maximum, exclusiveMinimum }: Shape): string {
  const kind = type === "integer" ? "a whole number" : "a number";
  const low = exclusiveMinimum === undefined ? `from ${minimum}` : `above ${exclusiveMinimum}`;
  const high = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER
    ? ""
    : ` up to ${maximum}`;
  return `${kind} ${low}${high}`;
}

function listWords({ items = {}, maxItems }: Shape): string {
  if (items.enum !== undefined) return `a list of ${items.enum.join(", ")}`;
  return `a list of at most ${maxItems} texts of at most ${items.maxLength} characters`;
}

/**
 * Says what is wrong with a setting: its value unless that may be a secret, what is allowed, and the variable.
 * Leaves alone what is no setting and what the schema itself explains. For `safeParse(…, { error })`.
 */
export const explainSetting: z.core.$ZodErrorMap = (issue) => {
  const path = settingPath((issue.path ?? []).map(String));
  const allowed = allowedWords(path[0] ?? "");
  if (allowed === undefined || issue.code === "unrecognized_keys") return undefined;
  const variable = variableOf(path.join(".")) ?? variableOf(path[0] as string);
  const from = variable === undefined ? "" : ` (${variable})`;
  if (EXPLAINED_BY_FIELD.includes(path[0] as string) && path.length > 1) return undefined;
  const isNot = path.length > 1 ? "does not belong into" : "is not";
  return `${shown(issue.input, path)} ${isNot} ${allowed}${from}`;
};

/** Settings stand at the top, or in a request's `updates` or `config`. */
function settingPath(path: readonly string[]): readonly string[] {
  return path[0] === "updates" || path[0] === "config" ? path.slice(1) : path;
}

function mayBeSecret(key: string): boolean {
  return key.endsWith("Url") ||
    SETTING_VARIABLES.some(([, name, form]) =>
      name === key && (form === "secret" || form === "json")
    );
}

function shown(input: unknown, path: readonly string[]): string {
  if (mayBeSecret(path[0] as string)) return "the value";
  const text = JSON.stringify(input) ?? "nothing";
  if (text.includes("://")) return "the value"; // an address that was put here by mistake may hold a secret
  return text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text;
}

/** Path and message of everything that a schema found wrong. */
export function describeIssues(error: z.ZodError): { path: string; message: string }[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String).join(".");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        path: path === "" ? key : `${path}.${key}`,
        message: "is not known",
      }));
    }
    return [{ path, message: plainWords(issue) }];
  });
}

/** Most values of a list that a message names. */
const NAMED_VALUES = 6;

/** The schema's own message where it has one, else what is wrong in a few words. */
function plainWords(issue: z.core.$ZodIssue): string {
  const { code, message } = issue;
  if (!message.startsWith("Invalid ")) return message;
  if (code === "invalid_type") {
    return message.endsWith("received undefined")
      ? "is missing"
      : `must be ${TYPE_WORDS[issue.expected] ?? issue.expected}`;
  }
  if (code !== "invalid_value") return message;
  const values = issue.values.map(String);
  const more = values.length - NAMED_VALUES;
  const named = values.slice(0, NAMED_VALUES).join(", ");
  return `must be one of ${named}${more > 0 ? ` and ${more} more` : ""}`;
}

const TYPE_WORDS: Record<string, string> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};
