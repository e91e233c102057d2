/**
 * The OpenAPI document, made from the list of actions.
 *
 * @module
 */
import { z } from "zod";
import { ERROR_CODES } from "../core/errors.ts";
import { type Action, defineAction } from "./action.ts";
import { EXAMPLES } from "./examples.ts";

/** The action that answers the document; `list` gives the menu it belongs to. */
export function openapiAction(list: () => readonly Action[]): Action {
  return defineAction({
    name: "openapi",
    method: "GET",
    summary: "The OpenAPI document of all this.",
    input: z.strictObject({}),
    output: z.record(z.string(), z.unknown()),
    run: () => Promise.resolve(openapiDocument(list())),
  });
}

/** OpenAPI 3.1. An action is a path with its query, because the action is what decides the schema. */
export function openapiDocument(actions: readonly Action[]): Record<string, unknown> {
  return {
    openapi: "3.1.0",
    info: {
      title: "supabase-backup",
      version: "1",
      description: "Backup and restore of a Supabase project as one Edge Function.",
    },
    servers: [{
      url: "https://{project}.supabase.co/functions/v1/backup",
      variables: { project: { default: "your-project", description: "The project's ref." } },
    }],
    security: [{ apikey: [] }, { bearer: [] }],
    paths: Object.fromEntries(actions.map((action) => [
      `/?action=${action.name}`,
      { [action.method.toLowerCase()]: operation(action) },
    ])),
    components: {
      securitySchemes: {
        apikey: { type: "apiKey", in: "header", name: "apikey" },
        bearer: { type: "http", scheme: "bearer" },
      },
      schemas: { Error: errorSchema() },
    },
  };
}

function operation(action: Action): Record<string, unknown> {
  const input = toJsonSchema(action.input, "input");
  const success = envelope(toJsonSchema(action.output, "output"));
  const example = EXAMPLES[action.name];
  const body = { schema: input, ...(example === undefined ? {} : { example }) };
  return {
    operationId: action.name,
    summary: action.summary,
    parameters: action.method === "GET"
      ? queryParameters(input, example)
      : action.long
      ? [waitParameter()]
      : [],
    ...(action.method === "POST"
      ? { requestBody: { required: false, content: { "application/json": body } } }
      : {}),
    responses: {
      200: { description: "Done.", ...json(success) },
      ...(action.long
        ? { 202: { description: "Taken on; the job goes on.", ...json(success) } }
        : {}),
      ...Object.fromEntries(
        failures(action).map(([status, description]) => [
          status,
          { description, ...json(status === 503 && action.judges ? judged(action) : ERROR) },
        ]),
      ),
    },
  };
}

const ERROR = { $ref: "#/components/schemas/Error" };

/** A failure that has the data besides. */
function judged(action: Action): Record<string, unknown> {
  const data = toJsonSchema(action.output, "output");
  return { allOf: [ERROR, { type: "object", properties: { data } }] };
}

function failures(action: Action): [number, string][] {
  return [
    [400, "A field is wrong; details name the paths."],
    [401, "No valid key."],
    [403, "The key is not for this."],
    [404, "There is no such thing."],
    [405, "The action exists under another method."],
    [409, "Something running or present stands against it."],
    [500, action.long ? "The job that was waited for has failed." : "A defect."],
    [
      503,
      action.judges
        ? "Something is critical; data says what all the same."
        : "Database or storage cannot be reached.",
    ],
  ];
}

function queryParameters(
  input: Record<string, unknown>,
  example: Record<string, unknown> = {},
): unknown[] {
  const properties = (input.properties ?? {}) as Record<string, Record<string, unknown>>;
  const required = (input.required ?? []) as string[];
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
    ...(name in example ? { example: example[name] } : {}),
  }));
}

function waitParameter(): unknown {
  return {
    name: "wait",
    in: "query",
    required: false,
    description: "Seconds to wait for the job's end before answering.",
    schema: { type: "integer", minimum: 0, maximum: 60, default: 0 },
  };
}

function toJsonSchema(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    reused: "inline",
  });
  // A schema of its own id would be a definition that the document does not hold: it is put in place.
  const { $defs, ...inline } = rest as Record<string, unknown>;
  return (substitute(inline, ($defs ?? {}) as Record<string, unknown>)) as Record<string, unknown>;
}

function substitute(value: unknown, definitions: Record<string, unknown>): unknown {
  if (Array.isArray(value)) return value.map((item) => substitute(item, definitions));
  if (typeof value !== "object" || value === null) return value;
  const reference = "$ref" in value && typeof value.$ref === "string" ? value.$ref : null;
  if (reference?.startsWith("#/$defs/")) {
    return substitute(definitions[reference.slice("#/$defs/".length)], definitions);
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "id" || typeof (value as Record<string, unknown>).id !== "string")
      .map(([key, item]) => [key, substitute(item, definitions)]),
  );
}

function envelope(data: Record<string, unknown>): Record<string, unknown> {
  return {
    type: "object",
    required: ["success", "data"],
    properties: { success: { const: true }, data },
  };
}

function errorSchema(): Record<string, unknown> {
  return {
    type: "object",
    required: ["success", "error"],
    properties: {
      success: { const: false },
      error: {
        type: "object",
        required: ["code", "message"],
        properties: {
          code: { type: "string", enum: Object.keys(ERROR_CODES) },
          message: { type: "string" },
          hint: { type: "string" },
          details: {},
        },
      },
    },
  };
}

function json(schema: unknown): Record<string, unknown> {
  return { content: { "application/json": { schema } } };
}
