/**
 * Runs all tests in groups, a few processes at a time, in lanes: the processes of a lane come one after the
 * other and share its database servers, and lanes cannot get in each other's way. The last line sums all of
 * them. Arguments go to `deno test`.
 *
 * `TEST_GROUPS`, such as `units,acceptance`, chooses groups by the first word of their names. With
 * `TEST_CHECKS=1` there is one more, `checks`, which is `deno task check`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { cacheFolder } from "./embedded_postgres.ts";
import { openLane } from "./testing/lane.ts";
import { makeTestFolder } from "./testing/test_folder.ts";

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

/** Formatting, lint, types and the other guards, beside the tests: most of that time is one processor's. */
const CHECKS = "checks";

/** Those that take longer than most groups do: each is a group of its own, and begins early. */
const LONG = [
  `${ACCEPTANCE}/recovery_plans_test.ts`,
  `${ACCEPTANCE}/runbooks_test.ts`,
  `${INTEGRATION}/soak_test.ts`,
  `${INTEGRATION}/mutation_test.ts`,
];

/** Two more than the two processors: many tests wait for clocks and for servers that are not there. */
const LANES = 4;

/** The longest groups first, and short ones last, leave no lane alone for long at the end. */
const GROUPS: Group[] = [
  ...(Deno.env.get("TEST_CHECKS") === "1" ? [{ name: CHECKS, paths: [] }] : []),
  ...CORPUS.map((pair) => ({
    name: `corpus ${pair}`,
    paths: [`${INTEGRATION}/${CORPUS_TEST}`],
    env: { CORPUS_PAIRS: pair },
  })),
  ...LONG.map((path) => ({ name: path.split("/").slice(1).join(" "), paths: [path] })),
  ...groupsOf(ACCEPTANCE, 4),
  { name: "units", paths: ["supabase", "scripts", "tests/support"] },
  ...groupsOf(INTEGRATION, 20),
].filter(isChosen);

/** The other tests of a folder, by turns: neighbours in the alphabet are of a kind, and last as long. */
function groupsOf(folder: string, count: number): Group[] {
  const paths = [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`)
    .filter((path) => path.endsWith("_test.ts") && !path.endsWith(`/${CORPUS_TEST}`))
    .filter((path) => !LONG.includes(path)).sort();
  return Array.from({ length: count }, (_, group) => ({
    name: `${folder.split("/").at(-1)} ${group + 1}`,
    paths: paths.filter((_, at) => at % count === group),
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

const NONE: Sums = { passed: 0, failed: 0, ignored: 0 };
const total = { ...NONE };
let isGood = GROUPS.length > 0;
const queue = [...GROUPS];
const running = new Set<Deno.ChildProcess>();
const started = Date.now();
const folder = await makeTestFolder();
// Servers and files go also when somebody ends the run.
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, endEarly);
try {
  await Promise.all(Array.from({ length: LANES }, (_, lane) => runLane(lane)));
} finally {
  await folder[Symbol.asyncDispose]();
}
const { passed, failed, ignored } = total;
const seconds = Math.round((Date.now() - started) / 1000);
print(
  `\n${
    isGood ? "ok" : "FAILED"
  } | ${passed} passed | ${failed} failed | ${ignored} ignored (${seconds}s)`,
);
Deno.exit(isGood ? 0 : 1);

function endEarly(): void {
  queue.length = 0;
  for (const child of running) child.kill("SIGTERM");
}

async function runLane(number: number): Promise<void> {
  await using lane = await openLane(`${folder.path}/lane${number}`);
  const env = { ...lane.env, TMPDIR: folder.path, SUPABASE_BACKUP_CACHE: cacheFolder() };
  for (let group = queue.shift(); group !== undefined; group = queue.shift()) await run(group, env);
}

async function run(group: Group, env: Record<string, string>): Promise<void> {
  const lock = Deno.args.includes("--no-lock") ? [] : ["--lock=deno.lock"];
  const test = ["test", "-A", "--no-check", ...lock, ...Deno.args, ...group.paths];
  const child = new Deno.Command(Deno.execPath(), {
    args: group.name === CHECKS ? ["task", "check"] : test,
    env: { NO_COLOR: "1", ...env, ...group.env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  running.add(child);
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
  running.delete(child);
  const last = sums.at(-1) ?? (group.name === CHECKS && success ? NONE : undefined);
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
