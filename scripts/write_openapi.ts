/**
 * `task openapi`: writes `docs/api.md` from the OpenAPI document, or the document itself to the standard
 * output with `--json`. With `--check` it changes nothing and ends with 1 when the page is out of date.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { ACTIONS } from "../supabase/functions/backup/actions/mod.ts";
import { openapiDocument } from "../supabase/functions/backup/actions/openapi.ts";
import { ERROR_CODES } from "../supabase/functions/backup/core/errors.ts";
import { ROOT } from "./embedded_postgres.ts";
import { join } from "./paths.ts";

// deno-lint-ignore no-explicit-any -- JSON Schema is walked as it is
type Schema = any;

/** The page, made from the document alone. */
export function apiPage(document: Schema): string {
  const lines = [
    "# API",
    "",
    "Made from the OpenAPI document (`task openapi`, or `GET ?action=openapi`); do not edit.",
    "",
    "Every request needs a key: a secret key of the project in the header `apikey` or as",
    "`Authorization: Bearer`. Every answer is `{ success: true, data }` or",
    "`{ success: false, error: { code, message, hint?, details? } }` and carries `x-request-id`;",
    "a 503 of `health` has its `data` besides.",
    "An action that starts a job answers 202 at once; `wait=<seconds>` (at most 60) waits for its end:",
    "200 when it is done, 202 when not yet, 500 with the job's error when it failed.",
    "",
    "In the examples `$URL` is the function's address and `$KEY` a secret key",
    "([README](../README.md#deploy-to-a-supabase-project)). Where `BACKUP_ADMIN_KEY` is set, what can destroy needs",
    "it too, in the header `x-backup-admin-key`.",
    "",
  ];
  for (const [path, methods] of Object.entries(document.paths as Schema)) {
    for (const [method, operation] of Object.entries(methods as Schema) as [string, Schema][]) {
      lines.push(`## ${operation.operationId}`, "", `\`${method.toUpperCase()} ${path}\``, "");
      lines.push(operation.summary, "", "```sh", curlLine(path, method, operation), "```", "");
      const body = operation.requestBody?.content["application/json"].schema;
      const query = operation.parameters as Schema[];
      if (query.length > 0) lines.push("Query:", "", ...query.map(parameterLine), "");
      if (body && Object.keys(body.properties ?? {}).length > 0) {
        lines.push("Body:", "", ...fieldLines(body), "");
      }
      const data = operation.responses[200].content["application/json"].schema.properties.data;
      lines.push("Data of the answer:", "", ...fieldLines(data), "");
    }
  }
  lines.push("## Error codes", "", "| code | means |", "|---|---|");
  for (const [code, meaning] of Object.entries(ERROR_CODES)) {
    lines.push(`| \`${code}\` | ${meaning} |`);
  }
  return lines.join("\n") + "\n";
}

/** A request that can be pasted, with the variables of the README. */
function curlLine(path: string, method: string, operation: Schema): string {
  const given = (operation.parameters as Schema[]).filter(({ example }) => example !== undefined);
  const query = given.map(({ name, example }) => `&${name}=${encodeURIComponent(example)}`).join(
    "",
  );
  const wait = (operation.parameters as Schema[]).some(({ name }) => name === "wait");
  const url = `$URL${path.slice(1)}${query}${wait && method === "post" ? "&wait=60" : ""}`;
  const example = operation.requestBody?.content["application/json"].example;
  return [
    `curl -s ${method === "post" ? "-X POST " : ""}"${url}" -H "apikey: $KEY"`,
    ...(example === undefined ? [] : [` \\\n  -d '${JSON.stringify(example)}'`]),
  ].join("");
}

function parameterLine(parameter: Schema): string {
  const { name, schema, required, description } = parameter;
  return `- \`${name}\` (${typeName(schema)}${required ? ", required" : ""})${defaultText(schema)}${
    describe(description ?? schema.description)
  }`;
}

function fieldLines(schema: Schema): string[] {
  const properties = Object.entries(schema.properties ?? {}) as [string, Schema][];
  if (properties.length === 0) return ["- a JSON object"];
  return properties.map(([name, field]) => {
    const required = (schema.required ?? []).includes(name) && field.default === undefined;
    return `- \`${name}\` (${typeName(field)}${required ? "" : ", optional"})${defaultText(field)}${
      describe(field.description)
    }`;
  });
}

function typeName(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value: unknown) => `\`${value}\``).join(", ");
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.anyOf) return schema.anyOf.map(typeName).join(" or ");
  if (schema.type === "array") return `list of ${typeName(schema.items ?? {})}`;
  return schema.type ?? "anything";
}

function defaultText(schema: Schema): string {
  return schema.default === undefined ? "" : `, default \`${JSON.stringify(schema.default)}\``;
}

function describe(text: string | undefined): string {
  return text === undefined ? "" : `: ${text}`;
}

if (import.meta.main) {
  const document = openapiDocument(ACTIONS);
  if (Deno.args.includes("--json")) console.log(JSON.stringify(document, null, 2));
  else {
    const file = join(ROOT, "docs", "api.md");
    const page = apiPage(document);
    if (!Deno.args.includes("--check")) await Deno.writeTextFile(file, page);
    else if (await Deno.readTextFile(file) !== page) {
      console.error("docs/api.md is out of date: run `deno task openapi`");
      Deno.exit(1);
    }
  }
}
