import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { functionsSource, functionsTarget } from "../../supabase/functions/backup/project/mod.ts";
import { backUpItems, restoreItem } from "../support/item_round_trip.ts";
import {
  type ManagementContract,
  startManagementContract,
} from "../support/management_contract.ts";
import { findSupabaseCli } from "../support/supabase_cli.ts";

const cli = await findSupabaseCli();
const missing = "missing" in cli ? cli.missing : null;

/** A project as a developer has it. */
const PROJECT: Record<string, string> = {
  "supabase/config.toml": `
project_id = "round-trip"
[functions.hello]
verify_jwt = false
[functions.mapped]
import_map = "./functions/mapped/deno.json"
[functions.page]
static_files = ["./functions/page/*.html"]
`,
  "supabase/functions/_shared/cors.ts": 'export const cors = "ä 😀";\n',
  "supabase/functions/hello/index.ts": 'import { cors } from "../_shared/cors.ts";\n' +
    "Deno.serve(() => new Response(cors));\n",
  "supabase/functions/mapped/deno.json": '{"imports":{"#lib":"./lib/words.ts"}}\n',
  "supabase/functions/mapped/index.ts": 'import { words } from "#lib";\nDeno.serve(() => words);\n',
  "supabase/functions/mapped/lib/words.ts": "export const words = new Response();\n",
  "supabase/functions/page/index.ts": "Deno.serve(() => new Response());\n",
  "supabase/functions/page/a.html": "<p>static</p>\n",
};

async function writeProject(files: Record<string, string>): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "backup_cli_project_" });
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeTextFile(join(folder, path), text);
  }
  return folder;
}

async function readFunctions(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const visit = async (path: string) => {
    for await (const { name, isDirectory } of Deno.readDir(join(folder, path))) {
      const each = `${path}/${name}`;
      if (isDirectory) await visit(each);
      else files[each] = await Deno.readTextFile(join(folder, each));
    }
  };
  await visit("supabase/functions");
  return files;
}

/** What the CLI lists, without what is new with every deployment. */
async function listed(contract: ManagementContract, folder: string): Promise<unknown[]> {
  if ("missing" in cli) return [];
  const { stdout } = await cli.run(["functions", "list", "-o", "json"], { contract, folder });
  return JSON.parse(stdout)
    .map((
      { slug, name, status, verify_jwt, import_map, entrypoint_path }: Record<string, unknown>,
    ) => ({
      ...{ slug, name, status, verify_jwt, import_map, entrypoint_path },
    }))
    .sort((a: { slug: string }, b: { slug: string }) => a.slug < b.slug ? -1 : 1);
}

Deno.test({
  name: "functions that the Supabase CLI deployed come back, and the CLI reads them as they were" +
    (missing === null ? "" : ` (left out: ${missing})`),
  ignore: missing !== null,
  async fn() {
    if ("missing" in cli) return;
    await using contract = startManagementContract();
    await using other = startManagementContract();
    const folder = await writeProject(PROJECT);
    const empty = await writeProject({ "supabase/config.toml": 'project_id = "empty"\n' });
    try {
      await cli.run(["functions", "deploy", "--use-api", "--yes"], { contract, folder });
      const api = contract.api();
      const kept = await backUpItems(functionsSource({ api, projectRef: api.projectRef }));
      assert.deepEqual(kept.items.map(({ key }) => key), ["hello", "mapped", "page"]);

      const target = functionsTarget({ api: other.api() });
      for (const step of await target.plan(kept.items, new AbortController().signal)) {
        assert.equal((await restoreItem(target, step, kept)).outcome, "done", step.key);
      }
      const [before, after] = await Promise.all([
        listed(contract, folder),
        listed(other, folder),
        cli.run(["functions", "download"], { contract: other, folder: empty }),
      ]);
      assert.deepEqual(after, before);
      assert.deepEqual(before.map((one) => (one as { verify_jwt: boolean }).verify_jwt), [
        false,
        true,
        true,
      ]);
      // The API gives neither import maps nor static files; the bundles have them.
      const sources = Object.entries(PROJECT)
        .filter(([path]) => path.startsWith("supabase/functions/") && path.endsWith(".ts"));
      assert.deepEqual(await readFunctions(empty), Object.fromEntries(sources));
      for (const { key } of kept.items) {
        assert.deepEqual(
          other.resources.functions.deployedWith(key).files,
          contract.resources.functions.deployedWith(key).files,
        );
      }
    } finally {
      for (const each of [folder, empty]) await Deno.remove(each, { recursive: true });
    }
  },
});
