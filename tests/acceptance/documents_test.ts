import assert from "node:assert/strict";
import { ACTIONS } from "../../supabase/functions/backup/actions/mod.ts";
import { ERROR_CODES } from "../../supabase/functions/backup/core/errors.ts";
import { checkFields } from "../../supabase/functions/backup/http/read_input.ts";
import { curlLinesOf } from "../support/curl_lines.ts";
import { allPages, anchorsOf, isThere, linksOf, type Page, readPage } from "../support/markdown.ts";

const PAGES = await allPages();

/** Headers that the service looks at. */
const HEADERS = ["apikey", "authorization", "content-type", "x-backup-admin-key"];

Deno.test("every link from a page to a place of the project leads there", async () => {
  const anchors = new Map(PAGES.map((page) => [page.path, anchorsOf(page)]));
  const broken: string[] = [];
  for (const page of PAGES) {
    for (const { target, path, anchor } of linksOf(page)) {
      const isGood = await isThere(path) &&
        (anchor === null || anchors.get(path)?.has(anchor) === true);
      if (!isGood) broken.push(`${page.path}: ${target}`);
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(PAGES.flatMap(linksOf).length > 100);
});

Deno.test("every page can be reached from the list of pages", () => {
  const seen = new Set<string>();
  const visit = (path: string) => {
    const page = PAGES.find((each) => each.path === path);
    if (page === undefined || seen.has(path)) return;
    seen.add(path);
    if (path === "docs/README.md" || path === "docs/decisions/README.md") {
      for (const link of linksOf(page)) visit(link.path);
    }
  };
  visit("docs/README.md");
  const unreached = PAGES.map(({ path }) => path).filter((path) => !seen.has(path));
  assert.deepEqual(unreached, []);
});

Deno.test("every request that a page shows names an action, its method, its fields and its headers", () => {
  const lines = PAGES.flatMap(requestsOf);
  assert.ok(lines.length > 40, `${lines.length} requests`);
  for (const { page, line, method, query, headers, body } of lines) {
    const at = `${page.path}: ${line}`;
    const action = ACTIONS.find(({ name }) => name === query.action);
    assert.ok(action, at);
    assert.equal(method, action.method, at);
    for (const name of Object.keys(headers)) assert.ok(HEADERS.includes(name), `${name} in ${at}`);
    assert.equal(headers.apikey, "$KEY", at);
    const { action: _, wait, ...fields } = query;
    assert.ok(wait === undefined || (action.long && Number(wait) <= 60), at);
    if (action.method === "GET") checkFields(action, fields);
    else {
      assert.deepEqual(fields, {}, at);
      if (body?.startsWith("@") !== true) checkFields(action, JSON.parse(filledIn(body ?? "{}")));
    }
  }
});

Deno.test("every task that a page shows is there, and runs the script of its name", async () => {
  const { tasks } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  ) as { tasks: Record<string, string> };
  const shown = PAGES.flatMap(({ path, text }) =>
    [...text.matchAll(/deno task ([a-z:]+)/g)].map(([, name]) => ({ path, name: name! }))
  );
  assert.ok(shown.length > 20);
  for (const { path, name } of shown) assert.ok(tasks[name], `${path}: deno task ${name}`);
  for (const name of ["action", "backup", "backups", "export", "import", "restore", "verify"]) {
    const command = `^deno run -A --lock=commands\\.lock (--v8-flags=\\S+ )?scripts/${name}\\.ts$`;
    assert.match(tasks[name]!, new RegExp(command));
  }
  // None starts without a lock: `deno.json` names none.
  const unlocked = Object.values(tasks).flatMap((task) => task.split(" && "))
    .filter((command) => /^deno (run|check) /.test(command) && !/ --lock=\w+\.lock /.test(command));
  assert.deepEqual(unlocked, []);
});

/** A body with what the lines before it have worked out. */
function filledIn(body: string): string {
  return body.replace("$FINGERPRINT", "0123456789abcdef");
}

/** Requests with the page they stand on. */
function requestsOf(page: Page) {
  return curlLinesOf(page.text).map((line) => ({ page, ...line }));
}

Deno.test("troubleshooting tells of every error code, of each once, and of no other", async () => {
  const { text } = await readPage("docs/troubleshooting.md");
  const told = [...text.matchAll(/^\| `(\w+)` \|(.*)$/gm)];
  assert.deepEqual(told.map(([, code]) => code).sort(), Object.keys(ERROR_CODES).sort());
  for (const [line, code, rest] of told) {
    const cells = rest!.split(" | ").map((cell) => cell.replaceAll("|", "").trim());
    assert.equal(cells.length, 3, line);
    assert.equal(cells[0], ERROR_CODES[code as keyof typeof ERROR_CODES], line);
    for (const cell of cells) assert.ok(cell.length > 3, line);
  }
});
