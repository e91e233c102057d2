/**
 * The Management API's OpenAPI document as a judge of requests and answers.
 *
 * @module
 */
import { Ajv, type ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import fixture from "../../fixtures/management_api.json" with { type: "json" };

/** A node of the document. */
// deno-lint-ignore no-explicit-any -- JSON Schema is walked as it is
export type Node = any;

/** An operation of the document, with what its path says. */
export interface Operation {
  id: string;
  method: string;
  /** The template. */
  path: string;
  params: Record<string, string>;
  /** What a token needs, each of them. */
  permissions: string[];
  node: Node;
}

/** A request as far as the document speaks of it. */
export interface CheckedRequest {
  query: URLSearchParams;
  /** Media type without parameters; empty without a body. */
  mediaType: string;
  /** JSON, or the fields of a form with those that hold JSON parsed; null for other bytes. */
  body: unknown;
}

// Formats of OpenAPI alone say how a number is stored or that a string is bytes.
const ajv = new Ajv({ strict: false, allErrors: true, formats: { int32: true, int64: true } });
ajv.addFormat("binary", true);
addFormats.default(ajv, ["date-time", "uuid", "uri", "email"]);
ajv.addSchema(exact(fixture), "api");

/**
 * Nothing beyond what is documented: the document allows unknown fields everywhere, by which a mistyped
 * name would pass. And draft 4's way to exclude a bound, in the way of today.
 */
function exact(node: Node): Node {
  if (Array.isArray(node)) return node.map(exact);
  if (node === null || typeof node !== "object") return node;
  const copy: Node = {};
  for (const [key, value] of Object.entries(node)) copy[key] = exact(value);
  if (copy.type === "object" && copy.properties && copy.additionalProperties === undefined) {
    copy.additionalProperties = Object.keys(copy.properties).length === 0;
  }
  // "May be null" of a value that may be anything says nothing, and the library refuses to hear it.
  if (copy.nullable !== undefined && copy.type === undefined) delete copy.nullable;
  for (const [bound, limit] of [["exclusiveMinimum", "minimum"], ["exclusiveMaximum", "maximum"]]) {
    if (typeof copy[bound as string] !== "boolean") continue;
    if (copy[bound as string]) {
      copy[bound as string] = copy[limit as string];
      delete copy[limit as string];
    } else delete copy[bound as string];
  }
  return copy;
}

/** The operation that a method and a path mean; null when the document has none. */
export function findOperation(method: string, pathname: string): Operation | null {
  const segments = pathname.split("/");
  const found: { path: string; params: Record<string, string> }[] = [];
  for (const path of Object.keys(fixture.paths)) {
    const names = path.split("/");
    if (names.length !== segments.length) continue;
    const params: Record<string, string> = {};
    const fits = names.every((name, at) => {
      const segment = decodeURIComponent(segments[at] as string);
      const param = /^\{(\w+)\}$/.exec(name)?.[1];
      if (param !== undefined) params[param] = segment;
      return param !== undefined || name === segment;
    });
    if (fits) found.push({ path, params });
  }
  // `functions/deploy` is itself and not the function `deploy`.
  found.sort((a, b) => Object.keys(a.params).length - Object.keys(b.params).length);
  for (const { path, params } of found) {
    const node = (fixture.paths as Node)[path][method.toLowerCase()];
    if (node === undefined) continue;
    return { id: node.operationId, method, path, params, permissions: permissionsOf(node), node };
  }
  return null;
}

/** Every operation's id, in the order of the document. */
export function operationIds(): string[] {
  return Object.values(fixture.paths as Node)
    .flatMap((methods) => Object.values(methods as Node).map((node: Node) => node.operationId));
}

function permissionsOf(node: Node): string[] {
  return (node.security ?? []).flatMap((one: Node) => one.fga_permissions ?? []);
}

/** What of a request the document does not allow, in words. */
export function checkRequest(operation: Operation, request: CheckedRequest): string[] {
  const { node, params } = operation;
  const problems: string[] = [];
  const known = new Set<string>();
  for (const parameter of node.parameters ?? []) {
    known.add(`${parameter.in} ${parameter.name}`);
    const value = parameter.in === "path"
      ? params[parameter.name]
      : parameter.in === "query"
      ? queryValue(request.query.getAll(parameter.name), parameter.schema)
      : undefined;
    if (value === undefined) {
      if (parameter.required && parameter.in !== "header") {
        problems.push(`the ${parameter.in} lacks ${parameter.name}`);
      }
      continue;
    }
    const parsed = parseParameter(value, parameter.schema);
    problems.push(...check(parameter.schema, parsed, `${parameter.in} ${parameter.name}`));
  }
  for (const name of request.query.keys()) {
    if (!known.has(`query ${name}`)) problems.push(`the query has an unknown ${name}`);
  }
  return [...problems, ...checkBody(node.requestBody, request)];
}

function checkBody(wanted: Node, { mediaType, body }: CheckedRequest): string[] {
  if (mediaType === "") {
    return wanted?.required ? ["a body is missing"] : [];
  }
  if (wanted === undefined) return [`a body of ${mediaType} is not wanted`];
  const content = wanted.content[mediaType];
  if (content === undefined) return [`a body of ${mediaType} is not known`];
  return body === null ? [] : check(content.schema, body, "body");
}

/** What of an answer the document does not say, in words. */
export function checkAnswer(
  operation: Operation,
  answer: { status: number; json: unknown },
): string[] {
  const documented = operation.node.responses[answer.status];
  if (documented === undefined) return [`the status ${answer.status} is not documented`];
  const schema = documented.content?.["application/json"]?.schema;
  if (schema === undefined || answer.json === undefined) return [];
  return check(schema, answer.json, "answer");
}

/** A list comes as the same name again and again. */
function queryValue(all: string[], schema: Node): string | string[] | undefined {
  return schema.type === "array" && all.length > 0 ? all : all[0];
}

/** Parameters are text; the document gives them types. */
function parseParameter(value: string | string[], schema: Node): unknown {
  if (Array.isArray(value)) return value;
  if (schema.type === "boolean" && /^(true|false)$/.test(value)) return value === "true";
  if (/^(integer|number)$/.test(schema.type) && value !== "" && !Number.isNaN(Number(value))) {
    return Number(value);
  }
  return value;
}

const compiled = new WeakMap<object, ValidateFunction>();

function check(schema: Node, value: unknown, where: string): string[] {
  const validate = compiled.get(schema) ?? compile(schema);
  compiled.set(schema, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map((error) => {
    const extra = error.params.additionalProperty ?? error.params.allowedValues;
    return `${where}${error.instancePath} ${error.message}${extra ? ` (${extra})` : ""}`;
  });
}

function compile(schema: Node): ValidateFunction {
  const text = JSON.stringify(exact(schema)).replaceAll('"#/components', '"api#/components');
  return ajv.compile(JSON.parse(text));
}
