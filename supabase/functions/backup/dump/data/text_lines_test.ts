import assert from "node:assert/strict";
import { concat } from "../../core/bytes.ts";
import { BackupError } from "../../core/errors.ts";
import { bytesOf, byteString } from "./binary_text.ts";
import { binaryAsTextLines, checkedTextLines } from "./text_lines.ts";

const base = (name: string) => ({ kind: "base", name } as const);

async function* cut(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

async function gather(source: AsyncIterable<Uint8Array>) {
  const slices: Uint8Array[] = [];
  for await (const slice of source) slices.push(slice);
  const largest = Math.max(0, ...slices.map((slice) => slice.length));
  return { text: byteString(concat(slices)), largest };
}

function int(bytes: 2 | 4, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 2) view.setInt16(0, value);
  else view.setInt32(0, value);
  return new Uint8Array(view.buffer);
}

/** Rows as the server's binary COPY writes them. */
function binaryCopy(rows: readonly (Uint8Array | null)[][]): Uint8Array {
  const values = rows.flatMap((row) => [
    int(2, row.length),
    ...row.flatMap((value) => value === null ? [int(4, -1)] : [int(4, value.length), value]),
  ]);
  const head = [bytesOf("PGCOPY\n\xff\r\n\0"), int(4, 0), int(4, 0)];
  return concat([...head, ...values, int(2, -1)]);
}

Deno.test("binaryAsTextLines() writes a large value in slices as it writes a small one", async () => {
  const long = bytesOf("a\tb\\c\nd\b\f\r\v\x00\xff".repeat(40_000));
  const forms = ["bytea", "text", "jsonb", "int4"].map(base);
  const json = concat([bytesOf("\x01"), bytesOf(`"${"x".repeat(300_000)}"`)]);
  const data = binaryCopy([[long, long, json, int(4, 7)], [null, bytesOf(""), null, null]]);
  const { text, largest } = await gather(binaryAsTextLines(cut(data, 65_537), forms));
  const hex = [...long].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const escaped = byteString(long).replaceAll("\\", "\\\\").replaceAll("\t", "\\t")
    .replaceAll("\n", "\\n").replaceAll("\b", "\\b").replaceAll("\f", "\\f")
    .replaceAll("\r", "\\r").replaceAll("\v", "\\v");
  const first = [`\\\\x${hex}`, escaped, byteString(json.subarray(1)), "7"].join("\t");
  assert.ok(text === `${first}\n\\N\t\t\\N\t\\N\n`, "every byte");
  assert.ok(largest < 1_000_000, `a slice of ${largest} bytes`);
});

Deno.test("binaryAsTextLines() refuses a bytea whose text no server could load", async () => {
  const head = binaryCopy([]).subarray(0, 19);
  const data = concat([head, int(2, 1), int(4, 600_000_000)]);
  await assert.rejects(
    gather(binaryAsTextLines(cut(data, 1000), [base("bytea")])),
    (error) => error instanceof BackupError && error.code === "unsupported_object",
  );
});

for (const size of [1, 2, 3, 1000]) {
  Deno.test(`checkedTextLines() keeps lines and refuses end marks, cut by ${size}`, async () => {
    const good = "a\\\\.\n\\.b\n\n\\N\n\\.\tx\n\\\\.\n";
    assert.equal((await gather(checkedTextLines(cut(bytesOf(good), size)))).text, good);
    for (const bad of ["\\.\n", "a\n\\.\nb\n", "a\n\\.\r\n", "a\n\\.\r\nb\n"]) {
      await assert.rejects(gather(checkedTextLines(cut(bytesOf(bad), size))), /end mark/);
    }
    await assert.rejects(gather(checkedTextLines(cut(bytesOf("a\nb"), size))), /no end/);
  });
}
