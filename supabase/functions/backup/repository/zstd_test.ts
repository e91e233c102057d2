import { testZstd } from "../../../../tests/support/zstd_suite.ts";
import { runtimeZstd } from "./zstd.ts";

testZstd("the runtime's zstd", runtimeZstd);
