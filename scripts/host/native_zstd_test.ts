import { testZstd } from "../../tests/support/zstd_suite.ts";
import { nativeZstd } from "./native_zstd.ts";

const zstd = nativeZstd();
if (zstd === undefined) {
  Deno.test.ignore(
    "the system's zstd agrees with zstd in WebAssembly: there is none here",
    () => {},
  );
} else {
  testZstd("the system's zstd", zstd);
}
