import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import {
  createRepository,
  openRepository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { SAMPLE_KEY } from "../../tests/support/repository_samples.ts";
import { nativeCode } from "./native_code.ts";

const code = nativeCode(); // libraries stay loaded

Deno.test("nativeCode() makes the same repository as the runtime's own code", async () => {
  const content = new TextEncoder().encode("row after row ".repeat(50_000));
  for (
    const [key, algorithm] of [[SAMPLE_KEY, "zstd"], [SAMPLE_KEY, "gzip"], [null, "zstd"]] as const
  ) {
    const storage = memoryStorage();
    const compression = { algorithm, level: 6 };
    const runtime = await createRepository({ storage, key, compression });
    const native = await openRepository({ storage, key, compression, ...code });
    const [one, other] = [content, content.toReversed()];
    const { name } = await native.writeChunk(one);
    assert.equal((await runtime.writeChunk(one)).name, name);
    assert.equal((await runtime.writeChunk(one)).created, false, "both look for it in one place");
    assert.equal(Buffer.compare(await runtime.readChunk(name), one), 0);
    const written = await runtime.writeChunk(other);
    assert.equal(Buffer.compare(await native.readChunk(written.name), other), 0);
  }
});

Deno.test({
  name: "nativeCode() is empty for a program that may not load libraries",
  permissions: { ffi: false },
  fn() {
    assert.deepEqual(nativeCode(), {
      zstd: undefined,
      gzip: undefined,
      hmac: undefined,
      aesGcm: undefined,
    });
  },
});
