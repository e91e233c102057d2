import { testStorage } from "../../../../tests/support/storage_suite.ts";
import { memoryStorage } from "./memory.ts";

testStorage("memoryStorage()", () => Promise.resolve({ storage: memoryStorage() }));
