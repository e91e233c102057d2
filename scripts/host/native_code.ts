/**
 * What libraries of the operating system do better than the runtime.
 *
 * @module
 */
import type { RepositoryOptions } from "../../supabase/functions/backup/repository/mod.ts";
import { nativeAesGcm } from "./native_aes_gcm.ts";
import { nativeGzip } from "./native_gzip.ts";
import { nativeHmac } from "./native_hmac.ts";
import { nativeZstd } from "./native_zstd.ts";

/** For opening a repository; what this system lacks is undefined, and the runtime does it. */
export function nativeCode(): Pick<RepositoryOptions, "zstd" | "gzip" | "hmac" | "aesGcm"> {
  return { zstd: nativeZstd(), gzip: nativeGzip(), hmac: nativeHmac(), aesGcm: nativeAesGcm() };
}
