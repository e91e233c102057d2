/**
 * Reads and checks what a request says.
 *
 * @module
 */
import { z } from "zod";
import type { Action } from "../actions/action.ts";
import { concat, fromUtf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import { describeIssues, explainSetting } from "../core/settings_words.ts";

/** Largest body, in bytes. */
export const BODY_LIMIT = 1024 * 1024;

/** Deepest nesting of JSON. */
const DEPTH_LIMIT = 32;

const waitSchema = z.strictObject({ wait: z.coerce.number().int().min(0).max(60).default(0) });
const noneSchema = z.strictObject({});

/** The checked fields, and how long the caller waits. */
export interface RequestInput {
  fields: Record<string, unknown>;
  waitSeconds: number;
}

/** @throws `invalid_request` with the path of each wrong field, `payload_too_large` */
export async function readInput(request: Request, action: Action): Promise<RequestInput> {
  const query = readQuery(new URL(request.url));
  if (action.method === "GET") return { fields: checkFields(action, query), waitSeconds: 0 };
  const { wait = 0 } = check(action.long ? waitSchema : noneSchema, query) as { wait?: number };
  return { fields: checkFields(action, await readBody(request)), waitSeconds: wait };
}

function readQuery(url: URL): Record<string, string> {
  const query: Record<string, string> = Object.create(null); // so that no name is there beforehand
  if (url.searchParams.getAll("action").length > 1) {
    // What stands before the service may have looked at the other one.
    throw new BackupError("invalid_request", "Cannot read the query: action is there twice");
  }
  for (const [name, value] of url.searchParams) {
    if (name === "action") continue;
    if (name in query) {
      throw new BackupError("invalid_request", `Cannot read the query: ${name} is there twice`, {
        details: { issues: [{ path: name, message: "is there twice" }] },
      });
    }
    query[name] = value;
  }
  return query;
}

async function readBody(request: Request): Promise<unknown> {
  const bytes = await readLimited(request);
  if (bytes.length === 0) return {};
  let body: unknown;
  try {
    body = JSON.parse(fromUtf8(bytes));
  } catch {
    // The parser's message quotes the body, which may hold a secret.
    throw new BackupError("invalid_request", "Cannot read the body: it is not JSON", {
      hint: "Send a JSON object with Content-Type: application/json.",
    });
  }
  if (depthOf(body) > DEPTH_LIMIT) {
    throw new BackupError(
      "invalid_request",
      `Cannot read the body: nested deeper than ${DEPTH_LIMIT}`,
    );
  }
  const path = findHalfCharacter(body);
  if (path !== null) {
    const issue = { path: path.join("."), message: "holds half a character" };
    throw new BackupError(
      "invalid_request",
      `Cannot read the request: ${issue.path || "the body"}: ${issue.message}`,
      {
        hint: "Send each \\ud800 to \\udfff with the other half of its pair.",
        details: { issues: [issue] },
      },
    );
  }
  return body;
}

/** No text with one can be stored; JSON can hold them all the same. The path of the first, or null. */
function findHalfCharacter(value: unknown): string[] | null {
  if (typeof value === "string") return value.isWellFormed() ? null : [];
  if (typeof value !== "object" || value === null) return null;
  for (const [name, inner] of Object.entries(value)) {
    if (!name.isWellFormed()) return [];
    const path = findHalfCharacter(inner);
    if (path !== null) return [name, ...path];
  }
  return null;
}

async function readLimited(request: Request): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body) {
    length += part.length;
    if (length > BODY_LIMIT) {
      throw new BackupError(
        "payload_too_large",
        `Cannot read the body: it is over ${BODY_LIMIT} bytes`,
      );
    }
    parts.push(part);
  }
  return concat(parts);
}

function depthOf(root: unknown): number {
  let deepest = 0;
  const open: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }];
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    const { value, depth } = item;
    deepest = Math.max(deepest, depth);
    if (typeof value !== "object" || value === null) continue;
    for (const inner of Object.values(value)) open.push({ value: inner, depth: depth + 1 });
  }
  return deepest;
}

/** The fields of an action, with the defaults of those that are not said. @throws `invalid_request` */
export function checkFields(action: Action, value: unknown): Record<string, unknown> {
  return check(action.input, value);
}

function check(schema: z.ZodObject, value: unknown): Record<string, unknown> {
  const parsed = schema.safeParse(value, { error: explainSetting });
  if (parsed.success) return parsed.data;
  const issues = describeIssues(parsed.error);
  const words = issues.map(({ path, message }) => `${path || "the body"}: ${message}`).join("; ");
  throw new BackupError("invalid_request", `Cannot read the request: ${words}`, {
    hint: "action=openapi describes every field.",
    details: { issues },
  });
}
