/**
 * Writes `tests/fixtures/management_api.json`: the part of the Management API's OpenAPI document that this
 * project uses. Run it with the path of the whole document, which the Supabase CLI's repository keeps as
 * `packages/api/src/generated/openapi.json`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { ROOT } from "./embedded_postgres.ts";
import { join } from "./paths.ts";

/** What is used, by the path below `/v1/projects/{ref}`. */
const USED = [
  /^$/,
  /^\/functions(\/|$)/,
  /^\/secrets$/,
  /^\/api-keys(\/|$)/,
  /^\/config\//,
  /^\/postgrest$/,
  /^\/network-restrictions(\/|$)/,
  /^\/ssl-enforcement$/,
  /^\/custom-hostname(\/|$)/,
  /^\/vanity-subdomain(\/|$)/,
  /^\/pgsodium$/,
  /^\/jit-access$/,
  /^\/database\/(password|backups\/schedule)$/,
  /^\/billing\/addons$/,
  /^\/readonly$/,
  /^\/health$/,
];

/** Words for people, which no check needs. */
const LEFT_OUT = ["description", "summary", "tags", "example", "examples"];

type Node = null | boolean | number | string | Node[] | { [key: string]: Node };

/** The used part of a document. */
export function usedPart(document: { [key: string]: Node }): Node {
  const paths = Object.entries(document.paths as { [path: string]: Node })
    .filter(([path]) => {
      const rest = /^\/v1\/projects\/\{ref\}(.*)$/.exec(path)?.[1];
      return rest !== undefined && USED.some((pattern) => pattern.test(rest));
    });
  const all = (document.components as { schemas: { [name: string]: Node } }).schemas;
  const schemas: { [name: string]: Node } = {};
  const follow = (node: Node) => {
    for (const name of namesIn(node)) {
      if (schemas[name] !== undefined) continue;
      schemas[name] = all[name] as Node;
      follow(schemas[name]);
    }
  };
  follow(Object.fromEntries(paths));
  const sorted = Object.entries(schemas).sort(([a], [b]) => a < b ? -1 : 1);
  return plain({
    openapi: document.openapi as Node,
    info: document.info as Node,
    paths: Object.fromEntries(paths),
    components: { schemas: Object.fromEntries(sorted) },
  });
}

function namesIn(node: Node): string[] {
  return [...JSON.stringify(node).matchAll(/"#\/components\/schemas\/(\w+)"/g)]
    .map((match) => match[1] as string);
}

/** Without words for people; fields of a schema may have such names themselves. */
function plain(node: Node, inProperties = false): Node {
  if (Array.isArray(node)) return node.map((item) => plain(item));
  if (node === null || typeof node !== "object") return node;
  const kept = Object.entries(node).filter(([key]) =>
    inProperties || (!LEFT_OUT.includes(key) && !key.startsWith("x-"))
  );
  return Object.fromEntries(
    kept.map(([key, value]) => [key, plain(value, !inProperties && key === "properties")]),
  );
}

if (import.meta.main) {
  const [path] = Deno.args;
  if (path === undefined) {
    console.error("Usage: deno run -A scripts/write_management_fixture.ts <openapi.json>");
    Deno.exit(2);
  }
  const part = usedPart(JSON.parse(await Deno.readTextFile(path)));
  const target = join(ROOT, "tests/fixtures/management_api.json");
  await Deno.writeTextFile(target, JSON.stringify(part, null, 1) + "\n");
  console.log(`Wrote ${target}`);
}
