/**
 * Runs all tests in groups, two processes at a time: each process has database servers of its own, so
 * groups cannot get in each other's way. The last line sums all of them. Arguments go to `deno test`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal

interface Group {
  name: string;
  paths: string[];
  env?: Record<string, string>;
}

/** Corpus pairs as in tests/integration/corpus_test.ts; the longest groups first. */
const CORPUS = Deno.env.get("CORPUS_PAIRS")?.split(",") ??
  (Deno.env.get("CORPUS") === "all"
    ? ["15:15", "15:15:4", "16:16:4", "17:17", "17:17:4", "18:18:4", "15:17:4", "17:18"]
    : ["17:17:4", "15:15"]);

const INTEGRATION = "tests/integration";
const CORPUS_TEST = "corpus_test.ts";

/** Many groups, the longest first, leave neither of the two processes alone for long at the end. */
const INTEGRATION_GROUPS = 3;

const GROUPS: Group[] = [
  ...integrationGroups(),
  ...CORPUS.map((pair) => ({
    name: `corpus ${pair}`,
    paths: [`${INTEGRATION}/${CORPUS_TEST}`],
    env: { CORPUS_PAIRS: pair },
  })),
  {
    name: "units and acceptance",
    paths: ["supabase", "scripts", "tests/acceptance", "tests/support"],
  },
];

function integrationGroups(): Group[] {
  const files = [...Deno.readDirSync(INTEGRATION)].map(({ name }) => name)
    .filter((name) => name.endsWith("_test.ts") && name !== CORPUS_TEST).sort();
  return Array.from({ length: INTEGRATION_GROUPS }, (_, group) => ({
    name: `integration ${group + 1}`,
    paths: files.filter((_, at) => at % INTEGRATION_GROUPS === group)
      .map((name) => `${INTEGRATION}/${name}`),
  }));
}

/** Counts of `deno test`. */
interface Sums {
  passed: number;
  failed: number;
  ignored: number;
}

const total: Sums = { passed: 0, failed: 0, ignored: 0 };
let isGood = true;
const queue = [...GROUPS];
const started = Date.now();
await Promise.all([runGroups(), runGroups()]);
const { passed, failed, ignored } = total;
const seconds = Math.round((Date.now() - started) / 1000);
print(
  `\n${
    isGood ? "ok" : "FAILED"
  } | ${passed} passed | ${failed} failed | ${ignored} ignored (${seconds}s)`,
);
Deno.exit(isGood ? 0 : 1);

async function runGroups(): Promise<void> {
  for (let group = queue.shift(); group !== undefined; group = queue.shift()) await run(group);
}

async function run(group: Group): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", ...Deno.args, ...group.paths],
    env: { NO_COLOR: "1", ...group.env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const sums: Sums[] = [];
  const tell = async (lines: AsyncIterable<string>) => {
    for await (const line of lines) {
      print(`[${group.name}] ${line}`);
      const match = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?: \| (\d+) ignored)?/.exec(
        line,
      );
      if (match) {
        sums.push({ passed: +match[1]!, failed: +match[2]!, ignored: +(match[3] ?? 0) });
      }
    }
  };
  await Promise.all([tell(linesOf(child.stdout)), tell(linesOf(child.stderr))]);
  const { success } = await child.status;
  const last = sums.at(-1);
  if (!success || last === undefined) isGood = false;
  // A run that ended without a sum, or badly with none failed, has failed as a whole.
  if (last === undefined || (!success && last.failed === 0)) total.failed++;
  for (const key of ["passed", "failed", "ignored"] as const) total[key] += last?.[key] ?? 0;
}

async function* linesOf(bytes: ReadableStream<Uint8Array>): AsyncIterable<string> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}

function print(line: string): void {
  console.log(line);
}
