import assert from "node:assert/strict";
import { findViolations, readImports } from "./check_layers.ts";

const FUNCTION = "supabase/functions/backup";

function violations(files: Record<string, string>): string[] {
  return findViolations(
    Object.entries(files).map(([path, source]) => readImports(source, `${FUNCTION}/${path}`)),
  );
}

Deno.test("findViolations() accepts imports that run downwards", () => {
  assert.deepEqual(
    violations({
      "usecases/a.ts":
        'import { b } from "../repository/mod.ts";\nimport { c } from "../core/c.ts";',
      "repository/mod.ts": 'export { s } from "../storage/s.ts";',
    }),
    [],
  );
});

Deno.test("findViolations() names an import upwards, also of types", () => {
  const [problem] = violations({ "core/a.ts": 'import type { B } from "../usecases/b.ts";' });
  assert.match(problem ?? "", /core\/a\.ts: imports upwards/);
});

Deno.test("findViolations() names neighbours and side entrances", () => {
  const problems = violations({
    "state/a.ts": 'import { b } from "../jobs/b.ts";',
    "usecases/c.ts": 'import { d } from "../dump/d.ts";',
  });
  assert.equal(problems.length, 2);
  assert.match(problems[0] ?? "", /neighbour/);
  assert.match(problems[1] ?? "", /beside its door/);
});

Deno.test("findViolations() names cycles of loading and computed imports", () => {
  const problems = violations({
    "core/a.ts": 'import {\n  b,\n} from "./b.ts";',
    "core/b.ts": 'import { a } from "./a.ts";\nconst x = await import(name);',
  });
  assert.ok(problems.some((problem) => problem.startsWith("cycle:")));
  assert.ok(problems.some((problem) => problem.includes("computed import")));
});

Deno.test("findViolations() lets types look at each other", () => {
  assert.deepEqual(
    violations({
      "core/a.ts": 'import type { B } from "./b.ts";',
      "core/b.ts": 'import { a } from "./a.ts";',
    }),
    [],
  );
});
