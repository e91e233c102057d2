import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gunzipSync, gzipSync } from "node:zlib";
import { nativeGzip } from "./native_gzip.ts";

const gzip = nativeGzip();

Deno.test({
  name: `the system's gzip is read by everybody's${
    gzip === undefined ? " (no libdeflate here)" : ""
  }`,
  ignore: gzip === undefined,
  fn() {
    const rows = new TextEncoder().encode(
      Array.from({ length: 20_000 }, (_, row) => `${row}\t${row * 7919 % 1000}\tpaid`).join("\n"),
    );
    const noise = crypto.getRandomValues(new Uint8Array(65_536));
    for (const level of [1, 6, 9]) {
      for (const bytes of [rows, noise, rows.subarray(0, 1), rows.subarray(5, 5)]) {
        const packed = gzip!(bytes, level);
        assert.equal(Buffer.compare(gunzipSync(packed), bytes), 0, `${bytes.length} at ${level}`);
      }
      const usual = gzipSync(rows, { level }).length;
      assert.ok(gzip!(rows, level).length < 1.1 * usual, `level ${level}`);
    }
  },
});
