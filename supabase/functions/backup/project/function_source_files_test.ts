import assert from "node:assert/strict";
import { utf8 } from "../core/bytes.ts";
import { type DeployedFunction, deployedFunction } from "./function_calls.ts";
import { aroundEntrypoint, readSources } from "./function_source_files.ts";

function deployed(fields: Partial<DeployedFunction> = {}): DeployedFunction {
  const least = { id: "1", slug: "hello", name: "hello", status: "ACTIVE", version: 1 };
  return deployedFunction.parse({ ...least, ...fields });
}

/** An answer with these files; a value of two is a file name and a path in a header of its own. */
function answer(files: (string | [string, string])[], metadata?: unknown) {
  const lines = metadata === undefined ? [] : [
    "--b",
    'Content-Disposition: form-data; name="metadata"',
    "",
    typeof metadata === "string" ? metadata : JSON.stringify(metadata),
  ];
  for (const file of files) {
    const [filename, path] = typeof file === "string" ? [file, null] : file;
    lines.push("--b", `Content-Disposition: form-data; name="file"; filename="${filename}"`);
    lines.push(...(path === null ? [] : [`Supabase-Path: ${path}`]), "", `// ${filename}`);
  }
  return {
    body: utf8([...lines, "--b--", ""].join("\r\n")),
    contentType: 'multipart/form-data; boundary="b"',
  };
}

Deno.test("readSources() takes the build's folder away and finds the import map beside the entry point", () => {
  const sources = readSources(
    answer([
      ["index.ts", "source/supabase/functions/hello/index.ts"],
      ["cors.ts", "source/supabase/functions/_shared/cors.ts"],
    ], { deno2_entrypoint_path: "source/supabase/functions/hello/index.ts" }),
    deployed({
      import_map: true,
      entrypoint_path: "file:///tmp/user_fn_1/source/supabase/functions/hello/index.ts",
      import_map_path: "file:///tmp/user_fn_1/source/supabase/functions/import%20map.json",
    }),
  );
  assert.deepEqual([...sources.files.keys()], [
    "supabase/functions/hello/index.ts",
    "supabase/functions/_shared/cors.ts",
  ]);
  assert.equal(sources.entrypoint, "supabase/functions/hello/index.ts");
  assert.equal(sources.importMap, "supabase/functions/import map.json");
});

Deno.test("readSources() finds the entry point by what the listing says when the answer does not", () => {
  for (const metadata of [undefined, {}, { deno2_entrypoint_path: "" }]) {
    const sources = readSources(
      answer(["/app/main.ts", "./app/lib/x.ts"], metadata),
      deployed({ entrypoint_path: "file:///tmp/user_fn_1/source/app/main.ts" }),
    );
    assert.equal(sources.entrypoint, "app/main.ts");
    assert.equal(sources.importMap, null);
    assert.deepEqual([...sources.files.keys()], ["app/main.ts", "app/lib/x.ts"]);
  }
});

const REFUSED: [string, ReturnType<typeof answer>][] = [
  ["no entry point", answer(["other.ts"], { deno2_entrypoint_path: "index.ts" })],
  ["no files", answer([])],
  ["a file outside its folder", answer(["../../etc/passwd", "index.ts"])],
  ["two files of one path", answer(["index.ts", "./index.ts"])],
  ["a file without a path", answer([["x", "/"], "index.ts"])],
  ["broken metadata", answer(["index.ts"], "{")],
];
for (const [what, given] of REFUSED) {
  Deno.test(`readSources() refuses ${what}`, () => {
    assert.throws(() => readSources(given, deployed()), SyntaxError);
  });
}

Deno.test("aroundEntrypoint() is the same wherever the root is", () => {
  for (const root of ["", "source/", "supabase/functions/"]) {
    const entrypoint = `${root}hello/index.ts`;
    const around = (path: string) => aroundEntrypoint(`${root}${path}`, entrypoint);
    assert.equal(around("hello/index.ts"), "index.ts");
    assert.equal(around("hello/lib/a.ts"), "lib/a.ts");
    assert.equal(around("_shared/cors.ts"), "../_shared/cors.ts");
    assert.equal(around("hello.ts"), "../hello.ts");
  }
});
