/**
 * Runs all tests in groups, a few processes at a time: each process has database servers of its own, so
 * groups cannot get in each other's way. The last line sums all of them. Arguments go to `deno test`.
 *
 * `TEST_GROUPS`, such as `units,acceptance`, chooses groups by the first word of their names.
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
const ACCEPTANCE = "tests/acceptance";
const CORPUS_TEST = "corpus_test.ts";

/** One more than the two processors: many tests wait for clocks and for servers that are not there. */
const PROCESSES = 3;

/** The longest groups first, and short ones last, leave no process alone for long at the end. */
const GROUPS: Group[] = [
  ...groupsOf(INTEGRATION, 4),
  ...CORPUS.map((pair) => ({
    name: `corpus ${pair}`,
    paths: [`${INTEGRATION}/${CORPUS_TEST}`],
    env: { CORPUS_PAIRS: pair },
  })),
  ...groupsOf(ACCEPTANCE, 3),
  { name: "units", paths: ["supabase", "scripts", "tests/support"] },
].filter(isChosen);

/** The tests of a folder, by turns: neighbours in the alphabet are of a kind, and last as long. */
function groupsOf(folder: string, count: number): Group[] {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.endsWith("_test.ts") && name !== CORPUS_TEST).sort();
  return Array.from({ length: count }, (_, group) => ({
    name: `${folder.split("/").at(-1)} ${group + 1}`,
    paths: files.filter((_, at) => at % count === group).map((name) => `${folder}/${name}`),
  }));
}

function isChosen({ name }: Group): boolean {
  const chosen = Deno.env.get("TEST_GROUPS")?.split(",");
  return chosen === undefined || chosen.includes(name.split(" ")[0]!);
}

/** Counts of `deno test`. */
interface Sums {
  passed: number;
  failed: number;
  ignored: number;
}

const total: Sums = { passed: 0, failed: 0, ignored: 0 };
let isGood = GROUPS.length > 0;
const queue = [...GROUPS];
const started = Date.now();
await Promise.all(Array.from({ length: PROCESSES }, runGroups));
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
