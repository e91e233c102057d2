/**
 * Costs by size as a Markdown table and as a plot.
 *
 * @module
 */
import type { CostBySize, Growth } from "./cost.ts";

/** A table: one line a size and job, costs per gigabyte of the database. */
export function costTable(sizes: readonly CostBySize[]): string {
  const head = [
    ...["database", "job", "CPU-s", "CPU-s per GB", "workers' requests", "server calls"],
    ...["storage calls", "stored MB", "peak MB (resident)", "seconds", "over a limit"],
  ];
  const rows = sizes.flatMap((size) =>
    (["backup", "restore"] as const).map((job) => {
      const cost = size[job];
      return [
        `${megabytes(size.databaseBytes)} MB`,
        job,
        cost.cpuSeconds.toFixed(1),
        (cost.cpuSeconds / (size.databaseBytes / 1e9)).toFixed(1),
        String(cost.invocations),
        String(cost.serverCalls),
        String(cost.storageCalls),
        job === "backup" ? megabytes(size.storedBytes) : "",
        `${megabytes(size.peakMemoryBytes)} (${megabytes(size.peakResidentBytes)})`,
        cost.seconds.toFixed(0),
        String(cost.overLimit),
      ];
    })
  );
  return toTable([head, ...rows]);
}

/** What a further gigabyte costs, between the smaller two and between the larger two sizes. */
export function growthTable(growths: readonly Growth[]): string {
  const head = ["per further GB", "smaller sizes", "larger sizes", "change", "within 15 %"];
  return toTable([
    head,
    ...growths.map(({ figure, before, after, within }) => [
      figure,
      before.toFixed(1),
      after.toFixed(1),
      before <= 0 ? "" : `${((after / before - 1) * 100).toFixed(0)} %`,
      within ? "yes" : "no",
    ]),
  ]);
}

function toTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0);
}

/** A line of the plot. */
interface Line {
  title: string;
  colour: string;
  value: (size: CostBySize) => number;
}

const LINES: readonly Line[] = [
  { title: "CPU-seconds, backup", colour: "#1f77b4", value: ({ backup }) => backup.cpuSeconds },
  { title: "CPU-seconds, restore", colour: "#d62728", value: ({ restore }) => restore.cpuSeconds },
  { title: "server calls, backup", colour: "#2ca02c", value: ({ backup }) => backup.serverCalls },
  {
    title: "server calls, restore",
    colour: "#9467bd",
    value: ({ restore }) => restore.serverCalls,
  },
  { title: "stored MB", colour: "#8c564b", value: ({ storedBytes }) => storedBytes / 1e6 },
  { title: "peak MB of a worker", colour: "#7f7f7f", value: (size) => size.peakMemoryBytes / 1e6 },
];

const WIDTH = 760;
const HEIGHT = 460;
const PLOT = { left: 60, right: 560, top: 30, bottom: 410 };

/** The same as an SVG: both axes by powers of ten, where proportion is a slope of one. */
export function costPlot(sizes: readonly CostBySize[]): string {
  const xs = sizes.map(({ databaseBytes }) => databaseBytes / 1e6);
  const ys = sizes.flatMap((size) => LINES.map(({ value }) => value(size)));
  const x = axis(xs, [PLOT.left, PLOT.right]);
  const y = axis(ys, [PLOT.bottom, PLOT.top]);
  const text = (at: [number, number], words: string, more = "") =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${more}>${words}</text>`;
  const grid = [
    ...x.ticks.flatMap((tick) => [
      stroke([[x.at(tick), PLOT.top], [x.at(tick), PLOT.bottom]], "#ddd"),
      text([x.at(tick), PLOT.bottom + 18], label(tick), 'text-anchor="middle"'),
    ]),
    ...y.ticks.flatMap((tick) => [
      stroke([[PLOT.left, y.at(tick)], [PLOT.right, y.at(tick)]], "#ddd"),
      text([PLOT.left - 8, y.at(tick) + 4], label(tick), 'text-anchor="end"'),
    ]),
    text(
      [(PLOT.left + PLOT.right) / 2, PLOT.bottom + 38],
      "MB in the server",
      'text-anchor="middle"',
    ),
  ];
  const lines = LINES.flatMap(({ title, colour, value }, index) => {
    const points = sizes.map((size, at): [number, number] => [x.at(xs[at]!), y.at(value(size))]);
    const legend: [number, number] = [PLOT.right + 20, PLOT.top + 20 + index * 22];
    return [
      stroke(points, colour, 2),
      ...points.map(([cx, cy]) =>
        `<circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="3" fill="${colour}"/>`
      ),
      stroke([legend, [legend[0] + 18, legend[1]]], colour, 2),
      text([legend[0] + 24, legend[1] + 4], title),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...grid,
    ...lines,
    "</svg>\n",
  ].join("\n");
}

/** Powers of ten around the values, and where a value lies between two ends. */
function axis(values: readonly number[], [from, to]: readonly [number, number]) {
  const low = Math.floor(Math.log10(Math.max(1e-3, Math.min(...values))));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  return {
    ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
    at: (value: number) =>
      from + (to - from) * (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low),
  };
}

function stroke(points: readonly (readonly [number, number])[], colour: string, width = 1): string {
  const path = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="${width}"/>`;
}

function label(value: number): string {
  return value >= 1 ? value.toLocaleString("en") : String(value);
}
