/**
 * Requests made from the OpenAPI document: good ones, and good ones with one thing wrong.
 *
 * @module
 */
import fc from "fast-check";

/** As much of JSON Schema as the document uses. */
export interface Schema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
}

/** An action as the document describes it. */
export interface DescribedAction {
  name: string;
  method: "GET" | "POST";
  /** Of the body, or of the query as an object. */
  input: Schema;
}

/** The actions of an OpenAPI document. */
export function actionsOfDocument(document: {
  paths: Record<string, Record<string, Operation>>;
}): DescribedAction[] {
  return Object.entries(document.paths).map(([path, operations]) => {
    const [[method, operation]] = Object.entries(operations) as [[string, Operation]];
    const name = path.replace("/?action=", "");
    const body = operation.requestBody?.content["application/json"]?.schema;
    return body === undefined
      ? { name, method: "GET", input: querySchema(operation) }
      : { name, method: method.toUpperCase() as "POST", input: body };
  });
}

interface Operation {
  parameters: { name: string; required: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}

function querySchema({ parameters }: Operation): Schema {
  return {
    type: "object",
    properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
    required: parameters.filter(({ required }) => required).map(({ name }) => name),
  };
}

/** Text that has done harm somewhere. */
const HOSTILE = [
  "'; drop table notes; --",
  "x' or '1'='1",
  '"; commit; --',
  "$1",
  "%s%n",
  "../../../etc/passwd",
  "..\\..\\secret",
  "/dev/zero",
  "a\0b",
  "\0",
  "\ud800",
  "a\u202eb",
  "\r\nx-injected: 1",
  "<script>alert(1)</script>",
  "__proto__",
  "constructor",
  "\u{1f4a3}".repeat(50),
  "İı\u0301",
  " ",
  "-1",
  "1e999",
  "NaN",
  "null",
  "${jndi:ldap://x}",
  "latest\n",
];

/** Anything that the schema allows, hostile text where it allows text. */
export function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valueOf));
  switch (schema.type) {
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "integer":
    case "number":
      return numberOf(schema);
    case "string":
      return textOf(schema);
    case "array":
      return fc.array(valueOf(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, (schema.minItems ?? 0) + 2),
      });
    case "object":
      return objectOf(schema);
  }
  return fc.jsonValue({ maxDepth: 2 });
}

function numberOf({ type, minimum, exclusiveMinimum, maximum = 1e9 }: Schema) {
  const least = minimum ?? (exclusiveMinimum ?? -1e9) + (type === "integer" ? 1 : 1e-6);
  return fc.oneof(
    fc.constantFrom(least, maximum),
    fc.integer({ min: Math.ceil(least), max: Math.max(Math.ceil(least), Math.floor(maximum)) }),
  );
}

function textOf({ pattern, format, minLength = 0, maxLength = 50 }: Schema): fc.Arbitrary<string> {
  if (format === "date-time") {
    return fc.constantFrom(
      "2026-01-02T03:04:05Z",
      "2026-01-02T03:04:05+14:00",
      "0001-01-01T00:00:00Z",
    );
  }
  if (pattern !== undefined) return matching(new RegExp(pattern));
  const fits = (text: string) => text.length >= minLength && text.length <= maxLength;
  return fc.oneof(
    fc.constantFrom(...HOSTILE.filter(fits)),
    fc.string({ unit: "binary", minLength, maxLength: Math.min(maxLength, minLength + 20) }),
    fc.constant("x".repeat(maxLength)),
  );
}

/** The library makes no text for patterns that look ahead. */
function matching(pattern: RegExp): fc.Arbitrary<string> {
  if (!pattern.source.includes("(?=") && !pattern.source.includes("(?!")) {
    return fc.stringMatching(pattern);
  }
  const known = ["a-name-1", "us-east-1", "https://example.org", "env:BACKUP_TEST"];
  return fc.constantFrom(...known.filter((text) => pattern.test(text)), "x");
}

function objectOf({ properties = {}, required = [], additionalProperties }: Schema) {
  const known = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, valueOf(schema)]),
  );
  if (Object.keys(known).length === 0 && typeof additionalProperties === "object") {
    return fc.dictionary(fc.string({ maxLength: 10 }), valueOf(additionalProperties), {
      maxKeys: 3,
    });
  }
  // Few at a time: with all of them there is always one that rules out the others.
  return fc.record(known, { requiredKeys: required }).chain((all) => {
    const optional = Object.keys(all).filter((name) => !required.includes(name));
    return fc.subarray(optional, { maxLength: Math.min(optional.length, 3) }).map((kept) =>
      Object.fromEntries(
        Object.entries(all).filter(([name]) => required.includes(name) || kept.includes(name)),
      )
    );
  });
}

/** Values that the schema does not allow; in a query everything is text. */
function wrongValues(schema: Schema, inQuery: boolean): unknown[] {
  const { type, maxLength, maximum, minimum, exclusiveMinimum, maxItems, items, pattern } = schema;
  const nested = JSON.parse(`${"[".repeat(31)}${"]".repeat(31)}`);
  const kinds = inQuery
    ? ["no such \0 value"]
    : [null, {}, [{}], 1.5, "no such \0 value", true, nested];
  const others: unknown[] = kinds.filter((value) => !couldBe(schema, value));
  if (type === "string") {
    if (pattern !== undefined) others.push("", "x y", "'; --", "../x", "é");
    others.push("x".repeat((maxLength ?? 9999) + 1));
  }
  if (type === "integer" || type === "number") {
    if (maximum !== undefined) others.push(maximum + 1, 1e308);
    if (minimum !== undefined) others.push(minimum - 1);
    if (exclusiveMinimum !== undefined) others.push(exclusiveMinimum);
  }
  if (type === "array" && maxItems !== undefined && items?.enum === undefined) {
    others.push(Array.from({ length: maxItems + 1 }, (_, at) => `x${at}`));
  }
  return others;
}

/** Only as far as the kinds of JSON go. */
function couldBe(schema: Schema, value: unknown): boolean {
  if (schema.enum !== undefined || "const" in schema) return false;
  if (schema.anyOf ?? schema.allOf) return true;
  switch (schema.type) {
    case "string":
      return typeof value === "string" && schema.pattern === undefined;
    case "boolean":
      return typeof value === "boolean";
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value) && couldBe(schema.items ?? {}, value[0]);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value) &&
        (schema.required ?? []).length === 0;
  }
  return true;
}

/** Good fields with one thing wrong, at any depth. */
export function wrongFieldsOf(
  schema: Schema,
  { inQuery = false } = {},
): fc.Arbitrary<Record<string, unknown>> {
  const { properties = {}, required = [] } = schema;
  const good = objectOf(schema) as fc.Arbitrary<Record<string, unknown>>;
  const wrong: fc.Arbitrary<Record<string, unknown>>[] = [
    good.map((fields) => ({ ...fields, surprise: 1 })),
    // An own property of that name, as a parser of JSON makes it.
    good.map((fields) =>
      Object.defineProperty({ ...fields }, "__proto__", { value: {}, enumerable: true })
    ),
  ];
  for (const name of required) {
    wrong.push(good.map(({ [name]: _, ...others }) => others));
  }
  for (const [name, inner] of Object.entries(properties)) {
    const values = wrongValues(inner, inQuery);
    if (values.length > 0) {
      wrong.push(
        fc.tuple(good, fc.constantFrom(...values)).map(([fields, value]) => ({
          ...fields,
          [name]: value,
        })),
      );
    }
    if (inner.type === "object" && inner.properties !== undefined) {
      wrong.push(
        fc.tuple(good, wrongFieldsOf(inner)).map(([fields, value]) => ({
          ...fields,
          [name]: value,
        })),
      );
    }
  }
  return fc.oneof(...wrong);
}
