import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { plainCipher, TAG_BYTES } from "../../supabase/functions/backup/repository/cipher.ts";
import {
  HEADER_BYTES,
  openObject,
  sealObject,
} from "../../supabase/functions/backup/repository/object.ts";
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

Deno.test("nativeCode() refuses altered and cut objects with the codes of the runtime's own code", async () => {
  const content = new TextEncoder().encode("row after row ".repeat(50_000));
  for (const key of [SAMPLE_KEY, null]) {
    for (const algorithm of ["zstd", "gzip", "none"] as const) {
      const storage = memoryStorage();
      const compression = { algorithm, level: 1 };
      const runtime = await createRepository({ storage, key, compression });
      const native = await openRepository({ storage, key, ...code });
      const { name } = await runtime.writeChunk(content);
      const path = `chunks/${name.slice(0, 2)}/${name}`;
      const object = storage.objects.get(path)!;
      const { body } = object;
      const refusal = async (body: Uint8Array) => {
        storage.objects.set(path, { ...object, body });
        const codes = await Promise.all([
          codeOf(() => runtime.readChunk(name)),
          codeOf(() => native.readChunk(name)),
        ]);
        assert.equal(new Set(codes).size, 1, `${algorithm}: ${codes}`);
        return codes[0];
      };
      for (const at of [0, 6, 30, 40, 68, body.length - 20, body.length - 1]) {
        const altered = body.slice();
        altered[at]! ^= 1;
        assert.equal(await refusal(altered), "object_altered", `${algorithm}, byte ${at}`);
      }
      for (const length of [0, 68, 84, body.length - 17, body.length - 1]) {
        assert.equal(await refusal(body.slice(0, length)), "object_truncated", `${length}`);
      }
      assert.equal(await refusal(body), "none");
    }
  }
});

Deno.test("nativeCode() calls an invalid frame altered, also one that somebody sealed anew", async () => {
  const cipher = await plainCipher(new Uint8Array(32), { repositoryId: "00".repeat(16) });
  const place = { kind: "chunk", path: "chunks/ab/abc", cipher } as const;
  const content = new TextEncoder().encode("row after row ".repeat(5000));
  for (const algorithm of ["zstd", "gzip"] as const) {
    const sealed = await sealObject(content, { ...place, compression: { algorithm, level: 1 } });
    const header = sealed.slice(0, HEADER_BYTES);
    const payload = sealed.slice(HEADER_BYTES, -TAG_BYTES).fill(0xff, 30, 60);
    const altered = await cipher.seal(payload, header.slice(16, 28), header);
    for (const zstd of [undefined, code.zstd]) {
      const opening = codeOf(() => openObject(altered.slice(), { ...place, zstd }));
      assert.equal(await opening, "object_altered", algorithm);
    }
  }
});

async function codeOf(read: () => Promise<unknown>): Promise<string> {
  try {
    await read();
    return "none";
  } catch (error) {
    return (error as BackupError).code;
  }
}

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
