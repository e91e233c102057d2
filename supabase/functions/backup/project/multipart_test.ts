import assert from "node:assert/strict";
import { concat, fromUtf8, utf8 } from "../core/bytes.ts";
import { parseMultipart } from "./multipart.ts";

const TYPE = "multipart/form-data; boundary=xyz";

function body(...lines: string[]): Uint8Array {
  return utf8(lines.join("\r\n"));
}

Deno.test("parseMultipart() gives names, headers and bytes of every part", () => {
  const parts = parseMultipart(
    body(
      "a preamble",
      "--xyz",
      'Content-Disposition: form-data; name="metadata"',
      "",
      "{}",
      "--xyz \t",
      'content-disposition: form-data; name="file"; filename="a \\"b\\".ts"',
      "Supabase-Path: source/ä/b.ts",
      "",
      "first\r\n--xy\r\n-\n",
      "--xyz",
      "Content-Disposition: form-data; name=file; filename=plain; filename*=UTF-8''%C3%A4.ts",
      "",
      "",
      "--xyz--",
      "an epilogue",
    ),
    TYPE,
  );
  assert.deepEqual(
    parts.map(({ name, filename, content }) => [name, filename, fromUtf8(content)]),
    [
      ["metadata", null, "{}"],
      ["file", 'a "b".ts', "first\r\n--xy\r\n-\n"],
      ["file", "ä.ts", ""],
    ],
  );
  assert.equal(parts[1]?.headers.get("supabase-path"), "source/ä/b.ts");
});

Deno.test("parseMultipart() reads what the platform's own FormData writes, whatever the bytes", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(50_000));
  const form = new FormData();
  form.append("file", new Blob([bytes]), "folder/a.bin");
  form.append("file", new Blob([]), "empty");
  const response = new Response(form);
  const contentType = response.headers.get("content-type") ?? "";
  const parts = parseMultipart(new Uint8Array(await response.arrayBuffer()), contentType);
  assert.deepEqual(parts.map(({ filename }) => filename), ["folder/a.bin", "empty"]);
  assert.deepEqual(parts.map(({ content }) => content.length), [50_000, 0]);
  assert.deepEqual(concat(parts.map(({ content }) => content)), bytes);
});

const HEAD = 'Content-Disposition: form-data; name="a"';
const BROKEN: [string, Uint8Array, string][] = [
  ["another type", body("--xyz--"), "application/json"],
  ["no boundary", body("--xyz--"), "multipart/form-data"],
  ["nothing", body(""), TYPE],
  ["an end that is cut off", body("--xyz", HEAD, "", "content"), TYPE],
  ["a cut in the headers", body("--xyz", HEAD), TYPE],
  ["a part without an end of headers", body("--xyz", HEAD, "--xyz--"), TYPE],
];
for (const [what, bytes, type] of BROKEN) {
  Deno.test(`parseMultipart() refuses ${what}`, () => {
    assert.throws(() => parseMultipart(bytes, type), SyntaxError);
  });
}
